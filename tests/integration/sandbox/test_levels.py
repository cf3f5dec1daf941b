"""Which layers protect the host is tried out, and decides whether anything runs."""

from collections import deque
from collections.abc import Collection

import psutil
import pytest

from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import SandboxUnavailable
from rustok.sandbox.layers import ALL_LAYERS
from rustok.sandbox.leased import Child
from rustok.sandbox.selftest import examine
from rustok.sandbox.zygote_client import Zygote
from tests.integration.sandbox.hooks import job, nothing, raw, run_raw
from tests.waiting import eventually_async

_ONE = raw("return 1")


async def test_a_layer_that_is_left_off_is_not_found() -> None:
    """Everything below stays."""
    for layer in ("namespaces", "landlock"):
        async with Cage(CageConfig(children=1, layers=ALL_LAYERS - {layer})) as cage:
            assert not cage.report.layers[layer]
            assert cage.report.level == ("C" if layer == "landlock" or not cage.report.layers["landlock"] else "B")
            assert (await cage.run(job(_ONE), nothing)).result == 1


@pytest.mark.parametrize("layer", ["seccomp", "rlimits", "cpu_timer"])
async def test_below_the_three_that_matter_nothing_runs(layer: str) -> None:
    """It says so, and fails no start."""
    async with Cage(CageConfig(children=1, layers=ALL_LAYERS - {layer})) as cage:
        assert (cage.report.level, cage.report.layers[layer]) == ("none", False)
        with pytest.raises(SandboxUnavailable):
            await cage.run(job(_ONE), nothing)
        with pytest.raises(SandboxUnavailable):
            await cage.compile("x = 1")


async def test_an_operator_may_allow_it_on_a_laptop() -> None:
    """By name, and the level says it."""
    async with Cage(CageConfig(children=1, layers=frozenset(), unsafe_dev=True)) as cage:
        assert cage.report.level == "unsafe-dev"
        assert (await cage.run(job(_ONE), nothing)).result == 1


@pytest.mark.parametrize(
    ("layer", "body", "gained"),
    [
        ("seccomp", "return reach(ctx).getpid() > 0", True),
        ("rlimits", "return len(bytearray(99 << 20)) > 0", True),
        ("cpu_timer", "n = 0\nwhile n < 20_000_000:\n    n += 1\nreturn True", True),
    ],
)
async def test_each_layer_is_what_stops_its_attack(layer: str, body: str, gained: bool) -> None:
    """Without that layer alone it goes through; with all of them it does not."""
    async with Cage(CageConfig(children=1, layers=ALL_LAYERS - {layer}, unsafe_dev=True)) as cage:
        without = await run_raw(cage, body, cpu_ms=300, wall_ms=60_000)
    async with Cage(CageConfig(children=1)) as cage:
        with_all = await run_raw(cage, body, cpu_ms=300, wall_ms=60_000)

    assert without.result is gained
    assert with_all.fault is not None


async def test_files_are_out_of_reach_without_a_filter_too(cage: Cage) -> None:
    """Either Landlock or the empty root is enough."""
    read = "return reach(ctx).open('/etc/passwd', 0)"
    held = {layer for layer in ("landlock", "namespaces") if cage.report.layers[layer]}
    for layer in held:
        async with Cage(CageConfig(children=1, layers=frozenset({layer}), unsafe_dev=True)) as bare:
            outcome = await run_raw(bare, read)

            assert outcome.fault is not None
            assert outcome.fault.code == "exception"


class Fleeting(Zygote):
    """A zygote of which every child is killed from outside, as soon as it can be: those of the kinds in `victims`."""

    victims: frozenset[str | None] = frozenset()

    async def fork(
        self, cpu_ms: int, memory_bytes: int, layers: Collection[str], probe: str | None = None, *, hurry: bool = False
    ) -> Child:
        child = await super().fork(cpu_ms, memory_bytes, layers, probe, hurry=hurry)
        if probe in self.victims:
            child.kill()
        return child


class WithoutProbes(Fleeting):
    victims = frozenset({"cpu_timer"})


class WithoutRuns(Fleeting):
    victims = frozenset({None})


async def test_what_could_not_be_tried_at_first_is_tried_again() -> None:
    """A zygote that does not start, and one that loses the child of a probe: neither says anything of the machine."""
    zygotes = deque([WithoutProbes, Zygote])

    async def boot() -> Zygote:
        if len(zygotes) == 2 and not booted:
            booted.append(None)
            raise SandboxUnavailable("no memory")
        zygote = await zygotes.popleft().boot("run", ALL_LAYERS)
        booted.append(zygote)
        return zygote

    booted: list[Zygote | None] = []
    found = await examine(boot, ALL_LAYERS, unsafe_dev=False)
    for zygote in booted:
        if zygote:
            await zygote.close()

    assert found.is_final
    assert found.report.level in {"A", "B", "C"}
    assert len(booted) == 3


@pytest.mark.parametrize("kind", [WithoutProbes, WithoutRuns])
async def test_what_can_never_be_tried_is_no_finding(kind: type[Zygote], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs, the reason is told, no process stays, and nothing is raised."""
    processes = len(psutil.Process().children())
    monkeypatch.setattr("rustok.sandbox.pool.Zygote", kind)
    cage = Cage(CageConfig(children=1))

    report = await cage.start()

    assert (report.level, len(psutil.Process().children())) == ("none", processes)
    assert report.detail == "a child was lost from outside"
    await cage.close()


async def test_a_cage_that_could_not_be_tried_recovers_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its zygote can be started, the report says so, and hooks run."""
    with monkeypatch.context() as broken:
        broken.setattr("sys.executable", "/bin/false")
        cage = Cage(CageConfig(children=1))
        before = await cage.start()

    async def runs() -> bool:
        return cage.report.level in {"A", "B", "C"}

    assert before.level == "none"
    await eventually_async(runs)
    assert (await cage.run(job(_ONE), nothing)).result == 1
    await cage.close()


async def test_a_zygote_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has the reason, for the operator."""
    monkeypatch.setattr("sys.executable", "/bin/false")

    async with Cage(CageConfig(children=1)) as cage:
        assert cage.report.level == "none"
        assert "did not start" in cage.report.detail
