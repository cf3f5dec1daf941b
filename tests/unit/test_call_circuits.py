"""What one tenant's calls learn of a server is nobody else's, and not of another server."""

from typing import cast
from uuid import UUID

import pytest

from rustok.egress import CallPutOff, CircuitConfig, Egress, EgressFailed, OutgoingAnswer, OutgoingRequest
from rustok.testing import FixedClock
from workers.call_circuits import CallCircuits

ACME, OTHER = UUID(int=1), UUID(int=2)


class Servers:
    """Answers with *status*; with none there is no answer."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.calls = 0

    async def send(self, _request: OutgoingRequest) -> OutgoingAnswer:
        self.calls += 1
        if self.status is None:
            raise EgressFailed("hooks.example.com did not answer within 5 s.")
        return OutgoingAnswer(status=self.status, headers={}, body=b"", is_truncated=False, elapsed_ms=1)


class Stage:
    def __init__(self) -> None:
        self.servers = Servers()
        self.circuits = CallCircuits(cast("Egress", self.servers), FixedClock(), CircuitConfig(failures=2))

    async def call(self, tenant_id: UUID = ACME, host: str = "hooks.example.com") -> str:
        """Return what became of a call."""
        url = f"https://{host}/"
        request = OutgoingRequest(method="POST", url=url, headers={}, body=b"", allowed_hosts=[host])
        try:
            return str((await self.circuits.send(tenant_id, request, is_retry=False)).status)
        except (CallPutOff, EgressFailed) as error:
            return error.code


@pytest.mark.parametrize(("status", "outcome"), [(None, "call_failed"), (500, "500"), (503, "503"), (429, "429")])
async def test_a_server_that_cannot_is_spared(status: int | None, outcome: str) -> None:
    """It says so, or nothing."""
    stage = Stage()
    stage.servers.status = status

    outcomes = [await stage.call() for _ in range(4)]

    assert outcomes == [outcome, outcome, "circuit_open", "circuit_open"]
    assert stage.servers.calls == 2


async def test_a_refused_call_is_no_failure_of_the_server() -> None:
    """It is well, and told us that the call is wrong."""
    stage = Stage()
    stage.servers.status = 404

    assert [await stage.call() for _ in range(4)] == ["404"] * 4


async def test_other_servers_and_other_tenants_are_not_concerned() -> None:
    """One tenant's wrong credential may look like a server that fails."""
    stage = Stage()
    stage.servers.status = 500
    for _ in range(2):
        await stage.call()
    stage.servers.status = 200

    outcomes = [await stage.call(), await stage.call(OTHER), await stage.call(host="api.example.com")]

    assert outcomes == ["circuit_open", "200", "200"]
