"""Finds out which layers hold on this machine: for each one a child tries what the layer forbids."""

import asyncio
import os
import signal
from collections.abc import Collection, Mapping
from typing import Any

from rustok.sandbox import rehearsal
from rustok.sandbox.contract import Job, Level, Report, SandboxUnavailable
from rustok.sandbox.conversation import Conversation
from rustok.sandbox.layers import LAYERS
from rustok.sandbox.leased import Death
from rustok.sandbox.zygote_client import Zygote

_CPU_MS, _MEMORY_BYTES = 20, 8 << 20
_LATEST_KILL_US = 500_000
_NEEDED = ("seccomp", "rlimits", "cpu_timer")
_DIES_BY = {"seccomp": signal.SIGSYS, "cpu_timer": signal.SIGKILL}
_WITHOUT_FILTER = {"landlock", "namespaces"}
"""Layers below seccomp, which would otherwise answer first."""


async def test_layers(zygote: Zygote, wanted: Collection[str]) -> Report:
    """Try each of the *wanted* layers."""
    held = await asyncio.gather(*(_holds(zygote, layer, wanted) for layer in LAYERS))
    layers = dict(zip(LAYERS, held, strict=True))
    return Report(level=level_of(layers), layers=layers)


async def rehearse(zygote: Zygote, layers: Collection[str]) -> str | None:
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
    )
    child = await zygote.fork(job.limits.cpu_ms, job.limits.memory_bytes, layers)
    outcome = await Conversation(child, job, answer).outcome()
    return outcome.fault.message if outcome.fault else None


def level_of(layers: Mapping[str, bool]) -> Level:
    if not all(layers[layer] for layer in _NEEDED):
        return "none"
    if not layers["landlock"]:
        return "C"
    return "A" if layers["namespaces"] else "B"


async def _holds(zygote: Zygote, layer: str, wanted: Collection[str]) -> bool:
    if layer not in wanted:
        return False
    on = set(wanted) - {"seccomp"} if layer in _WITHOUT_FILTER else wanted
    cpu_ms = _CPU_MS if layer == "cpu_timer" else 1000
    try:
        child = await zygote.fork(cpu_ms, _MEMORY_BYTES, on, probe=layer)
    except SandboxUnavailable:
        return False
    try:
        return _held(layer, await child.death())
    finally:
        child.discard()


def _held(layer: str, death: Death | None) -> bool:
    if death is None:
        return False
    if layer in _DIES_BY:
        return (
            os.WIFSIGNALED(death.status)
            and os.WTERMSIG(death.status) == _DIES_BY[layer]
            and (death.cpu_us < _LATEST_KILL_US)
        )
    return death.status == 0
