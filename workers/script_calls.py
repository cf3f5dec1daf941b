"""Sends what scripts wanted sent: at least once, with the same id each time, to hosts that the script names."""

import random
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import Platform
from rustok.db.transaction import begin
from rustok.db.unit_of_work import StaleAuthorization, TenantDisabled
from rustok.egress import CallPutOff, EgressFailed, EgressRefused, OutgoingAnswer, OutgoingRequest
from rustok.jobs import Leased, fail, finish, put_off
from rustok.jobs.runner import retry_delay_s
from rustok.kernel.errors import Forbidden, NotFound
from rustok.kernel.ports import Clock
from rustok.modules.alloy import USE_SECRETS, load_script, open_secret
from rustok.telemetry.metrics import CALLS_PUT_OFF
from workers.call_circuits import CallCircuits, is_worth_another_try
from workers.script_rights import ScriptRights

_BEGIN = "BEGIN; SET LOCAL synchronous_commit = on"
"""What was sent is not to be sent again."""
_LOOKS, _BUSY_S = 3, 1.0
"""How often what a script may do is looked at while it is being changed, and how long its call waits then."""
_PATIENCE = timedelta(days=1)
DELIVERY_HEADER = "rustok-delivery"
_ERROR = 400
_SHOWN_CHARS = 1000


class ScriptCalls:
    """Handles jobs of the kind `alloy.call`. An answer below 400 is success; 408, 425, 429 and 5xx are tried again.

    A call that is put off, because its server fails, costs no attempt; after a day it does.
    """

    def __init__(self, engine: AsyncEngine, platform: Platform, circuits: CallCircuits, clock: Clock) -> None:
        self._engine = engine
        self._platform = platform
        self._circuits = circuits
        self._clock = clock
        self._rights = ScriptRights(platform.units, platform.registry.permissions.values())

    async def __call__(self, job: Leased) -> None:
        try:
            script, secrets = await self._found(job)
            if script is None:
                await self._end(finish, job, None, "cancelled")
                return
            request = _request(job, {**job.args["headers"], **secrets}, script.hosts)
            answer = await self._circuits.send(job.tenant_id, request, is_retry=job.attempt > 1)
        except TenantDisabled:
            raise  # a refusal that ends
        except (EgressRefused, NotFound, Forbidden) as error:
            await self._end(fail, job, {"code": error.code, "message": str(error)}, None)
        except StaleAuthorization:
            await self._end(put_off, job, _BUSY_S)
        except CallPutOff as error:
            await self._put_off(job, error)
        except EgressFailed as error:
            await self._give_up_or_wait(job, {"code": error.code, "message": str(error)})
        else:
            await self._judge(job, answer, frozenset(secrets.values()))

    async def _found(self, job: Leased) -> tuple[Any | None, Mapping[str, str]]:
        """Return the script, or None if it was deleted, and its secrets; look again while that is being changed."""
        for _ in range(_LOOKS - 1):
            with suppress(StaleAuthorization):
                return await self._look(job)
        return await self._look(job)

    async def _look(self, job: Leased) -> tuple[Any | None, Mapping[str, str]]:
        script = await load_script(self._engine, job.tenant_id, UUID(job.args["script_id"]))
        return script, {} if script is None else await self._secrets(job, script)

    async def _secrets(self, job: Leased, script: Any) -> Mapping[str, str]:
        """Return the headers whose values are secrets, as far as script and owner may use them now."""
        names = job.args["secret_headers"]
        if not names:
            return {}
        context = await self._rights.context(job, script, fresh=True)
        context.require_permission(USE_SECRETS)
        if missing := sorted(set(names.values()) - set(script.secrets)):
            raise NotFound(f"The script does not name {', '.join(missing)} among its secrets any more.")
        async with self._platform.units.begin(context, read_only=True) as uow:
            return {header: await open_secret(uow, name) for header, name in names.items()}

    async def _judge(self, job: Leased, answer: OutgoingAnswer, secrets: frozenset[str]) -> None:
        told = {"status": answer.status, "elapsed_ms": answer.elapsed_ms}
        if answer.status < _ERROR:
            await self._end(finish, job, told)
            return
        start = _masked(answer.body.decode(errors="replace"), secrets)[:_SHOWN_CHARS].replace("\x00", "")
        error = {"code": "call_refused", "message": f"The server answered {answer.status}.", **told, "body": start}
        if is_worth_another_try(answer.status):
            await self._give_up_or_wait(job, error)
        else:
            await self._end(fail, job, error, None)

    async def _put_off(self, job: Leased, error: CallPutOff) -> None:
        """Make the call later; not all at the same moment, and not for ever without counting."""
        CALLS_PUT_OFF.labels(error.code).inc()
        told = {"code": error.code, "message": str(error)}
        if self._clock.now() - job.created_at > _PATIENCE:
            await self._give_up_or_wait(job, told)
            return
        delay_s = random.uniform(error.wait_s, 2 * error.wait_s)  # noqa: S311 - no secret
        await self._end(put_off, job, delay_s, told)

    async def _give_up_or_wait(self, job: Leased, error: Mapping[str, Any]) -> None:
        await self._end(fail, job, error, None if job.is_last_attempt else retry_delay_s(job.attempt))

    async def _end(self, how: Any, job: Leased, *arguments: Any) -> None:
        async with begin(self._engine, _BEGIN) as (transaction, _):
            await how(transaction, job, *arguments)


def _masked(text: str, secrets: Collection[str]) -> str:
    """Return *text* without the secrets that a server may have quoted."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _request(job: Leased, headers: Mapping[str, str], hosts: list[str]) -> OutgoingRequest:
    body = b"" if job.args["json"] is None else orjson.dumps(job.args["json"])
    named = {name.lower(): value for name, value in headers.items()}
    if body:
        named.setdefault("content-type", "application/json")
    return OutgoingRequest(
        method=job.args["method"],
        url=job.args["url"],
        headers={**named, DELIVERY_HEADER: str(job.id)},
        body=body,
        allowed_hosts=hosts,
    )
