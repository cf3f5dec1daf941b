"""The circuits of outgoing calls: one a tenant and server, so that nobody's failures stop the calls of others."""

from uuid import UUID

from rustok.egress import Circuit, CircuitConfig, Egress, EgressFailed, Origin, OutgoingAnswer, OutgoingRequest, checked
from rustok.kernel.ports import Clock
from workers.recent import Recent

_REMEMBERED = 10_000
_SERVER_ERROR = 500
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})


class CallCircuits:
    """What this process knows of servers. Others learn it for themselves."""

    def __init__(self, egress: Egress, clock: Clock, config: CircuitConfig | None = None) -> None:
        self._egress = egress
        self._clock = clock
        self._config = config or CircuitConfig()
        self._circuits: Recent[tuple[UUID, Origin], Circuit] = Recent(_REMEMBERED)

    async def send(self, tenant_id: UUID, request: OutgoingRequest, *, is_retry: bool) -> OutgoingAnswer:
        """Send *request* once, as `Egress.send` does.

        Raises:
            CallPutOff: the server fails, and is spared.

        """
        key = tenant_id, checked(request).origin
        circuit = self._circuits.find(key) or self._circuits.keep(key, Circuit(self._config, self._clock))
        circuit.enter(is_retry=is_retry)
        try:
            answer = await self._egress.send(request)
        except EgressFailed:
            circuit.failed()
            raise
        if is_worth_another_try(answer.status):
            circuit.failed()
        else:
            circuit.succeeded()
        return answer


def is_worth_another_try(status: int) -> bool:
    """Tell whether an answer says that the server cannot now, and not that the call is wrong."""
    return status >= _SERVER_ERROR or status in _WORTH_ANOTHER_TRY
