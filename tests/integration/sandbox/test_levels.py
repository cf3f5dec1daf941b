"""Which layers protect the host is tried out, and decides whether anything runs."""

import pytest

from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import SandboxUnavailable
from rustok.sandbox.layers import ALL_LAYERS
from tests.integration.sandbox.hooks import job, nothing, raw, run_raw

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


async def test_a_zygote_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has the reason, for the operator."""
    monkeypatch.setattr("sys.executable", "/bin/false")

    async with Cage(CageConfig(children=1)) as cage:
        assert cage.report.level == "none"
        assert "did not start" in cage.report.detail
