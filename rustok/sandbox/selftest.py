"""Finds out which layers hold on this machine: for each one a child tries what the layer forbids."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple

from rustok.sandbox import rehearsal
from rustok.sandbox.contract import Job, Level, Limits, Report, SandboxUnavailable
from rustok.sandbox.conversation import ChildLost, Conversation
from rustok.sandbox.explain import is_cpu_used, is_from_outside
from rustok.sandbox.layers import LAYERS
from rustok.sandbox.leased import Death
from rustok.sandbox.zygote_client import NotReady, Zygote

_ATTEMPTS = 3
_PATIENT = Limits(wall_ms=30_000)
"""The usual limits, but for a machine that others use too."""
_SHORT, _MEMORY_BYTES = Limits(cpu_ms=20), 8 << 20
_LATEST_KILL_US = 500_000
_NEEDED = ("seccomp", "rlimits", "cpu_timer")
_DIES_BY = {"seccomp": signal.SIGSYS, "cpu_timer": signal.SIGKILL}
_WITHOUT_FILTER = {"landlock", "namespaces"}
"""Layers below seccomp, which would otherwise answer first."""


class Finding(NamedTuple):
    """`is_final` is false where something could not be tried: nothing is known then, and it may be tried later."""

    report: Report
    is_final: bool


async def examine(boot: Callable[[], Awaitable[Zygote]], wanted: Collection[str], *, unsafe_dev: bool) -> Finding:
    """Try each of the *wanted* layers, and whether a hook of ours runs; again, what could not be tried.

    *boot* returns a zygote that is there, or raises SandboxUnavailable. With *unsafe_dev* any level will do.
    """
    layers = {layer: False for layer in LAYERS if layer not in wanted}
    trouble = "a child was lost from outside"
    for _ in range(_ATTEMPTS):
        try:
            zygote = await boot()
            layers |= await _tried(zygote, [layer for layer in LAYERS if layer not in layers], wanted)
            if len(layers) == len(LAYERS):
                return Finding(await _judged(zygote, layers, unsafe_dev=unsafe_dev), is_final=True)
        except (SandboxUnavailable, ChildLost) as error:
            trouble = str(error)
    found = {layer: layers.get(layer, False) for layer in LAYERS}
    return Finding(Report(level="none", layers=found, detail=trouble), is_final=False)


def held_of(report: Report) -> frozenset[str]:
    return frozenset(layer for layer, holds in report.layers.items() if holds)


async def _tried(zygote: Zygote, layers: Collection[str], wanted: Collection[str]) -> dict[str, bool]:
    """Return which of *layers* hold; one that could not be tried is left out."""
    found = await asyncio.gather(*(_holds(zygote, layer, wanted) for layer in layers))
    return {layer: holds for layer, holds in zip(layers, found, strict=True) if holds is not None}


async def _judged(zygote: Zygote, found: Mapping[str, bool], *, unsafe_dev: bool) -> Report:
    layers = {layer: found[layer] for layer in LAYERS}
    level = level_of(layers)
    if level == "none" and unsafe_dev:
        level = "unsafe-dev"
    report = Report(level=level, layers=layers)
    if level != "none" and (fault := await _rehearse(zygote, held_of(report))):
        return Report(level="none", layers=layers, detail=f"a hook of ours failed: {fault}")
    return report


async def _rehearse(zygote: Zygote, layers: Collection[str]) -> str | None:
    """Run a hook of ours that does all that a hook may do, under the limits of all; return why it failed, if it did.

    A call that the filter forbids and this Python makes is found here, and not by a tenant.
    """

    async def answer(name: str, _arguments: Mapping[str, Any]) -> object:
        return rehearsal.answer(name)

    job = Job(
        bytecode=rehearsal.everything(),
        event={**rehearsal.EVENT, "fail": False},
        now=rehearsal.NOW,
        seed="s",
        run_id="r",
        tenant_id="t",
        script="x",
        limits=_PATIENT,
    )
    child = await zygote.fork(job.limits.cpu_ms, job.limits.memory_bytes, layers, hurry=True)
    outcome = await Conversation(child, job, answer).outcome()
    return outcome.fault.message if outcome.fault else None


def level_of(layers: Mapping[str, bool]) -> Level:
    if not all(layers[layer] for layer in _NEEDED):
        return "none"
    if not layers["landlock"]:
        return "C"
    return "A" if layers["namespaces"] else "B"


async def _holds(zygote: Zygote, layer: str, wanted: Collection[str]) -> bool | None:
    """Tell whether *layer* stops what it should; None where the child that tries it came to nothing."""
    on = set(wanted) - {"seccomp"} if layer in _WITHOUT_FILTER else wanted
    cpu_ms = _SHORT.cpu_ms if layer == "cpu_timer" else 1000
    try:
        child = await zygote.fork(cpu_ms, _MEMORY_BYTES, on, probe=layer)
    except NotReady as error:  # a layer that cannot be put on does not hold
        return None if error.death is None or is_from_outside(error.death.status) else False
    try:
        return _held(layer, await child.death())
    finally:
        child.discard()


def _held(layer: str, death: Death | None) -> bool | None:
    if death is None:
        return None
    if is_from_outside(death.status) and not (layer == "cpu_timer" and is_cpu_used(death, _SHORT)):
        return None
    if layer in _DIES_BY:
        killed = os.WIFSIGNALED(death.status) and os.WTERMSIG(death.status) == _DIES_BY[layer]
        return killed and death.cpu_us < _LATEST_KILL_US
    return death.status == 0
