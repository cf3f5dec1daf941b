"""What it takes to know whose key it is, and whether one may, once that has been looked up."""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import casbin
import uvloop
from casbin.model import Model

from rustok.catalog import MODULES
from rustok.kernel.context import Context
from rustok.kernel.permission import Permission
from rustok.kernel.registry import build_registry
from rustok.modules.access.roles import Roles
from rustok.testing import PlatformUnderTest
from tests.bench.figures import median
from tests.bench.stage import Stage, open_shop
from tests.bench.table import Finding, Report, Target

_METHOD = (
    "in this process without a pause, in turns, medians of rounds. A manager's permission, asked of the context of a "
    "request, beside PyCasbin with the same role's permissions as policies. An API key that was looked up before (a "
    "hash, and the identity that is kept) beside one that is looked up anew: one query, with roles and their parents."
)
_ASKED = "commerce.products.write"
_MODEL = """
[request_definition]
r = subject, permission
[policy_definition]
p = subject, permission
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.subject, p.subject) && r.permission == p.permission
"""


def run(stage: Stage) -> Report:
    """Measure both checks."""
    return uvloop.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with open_shop(stage) as shop, PlatformUnderTest.open(MODULES, shop.database) as platform:
        authenticator = platform.platform.authenticator
        identity = await authenticator.authenticate(shop.token)
        kept, anew = await _turns(
            stage,
            lambda: authenticator.authenticate(shop.token),
            lambda: authenticator.authenticate(shop.token, fresh=True),
        )
    context = Context(tenant_id=identity.tenant_id, principal=identity.principal)
    enforcer = _enforcer(build_registry(MODULES).permissions.values())

    async def ours() -> None:
        context.require(_ASKED)

    async def theirs() -> None:
        enforcer.enforce("somebody", _ASKED)

    checked, by_casbin = await _turns(stage, ours, theirs)
    return Report(
        "access",
        _METHOD,
        [
            Finding("permission check", checked, "us", by_casbin, "us, PyCasbin", Target("<=", 20, "ours")),
            Finding("API key, known", kept, "us", anew, "us, looked up", Target("<=", 50, "ours")),
        ],
    )


def _enforcer(known: Iterable[Permission]) -> casbin.Enforcer:
    model = Model()
    model.load_model_from_text(_MODEL)
    enforcer = casbin.Enforcer(model)
    enforcer.add_policies([["manager", permission] for permission in sorted(Roles(known).built_in("manager"))])
    enforcer.add_grouping_policies([["somebody", "manager"]])
    return enforcer


async def _turns(stage: Stage, *checks: Callable[[], Awaitable[Any]]) -> list[float]:
    """Return how many microseconds each of *checks* takes."""
    rounds = [[await _time_us(check, stage.seconds(0.2)) for check in checks] for _ in range(stage.rounds(15))]
    return [median(times) for times in zip(*rounds, strict=True)]


async def _time_us(check: Callable[[], Awaitable[Any]], seconds: float) -> float:
    count = 0
    begin_s = time.perf_counter()
    while (passed_s := time.perf_counter() - begin_s) < seconds:
        for _ in range(10):
            await check()
        count += 10
    return passed_s / count * 1e6
