"""What the processes of a cage come to, counted from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psutil

_PROCESS_BYTES = 32 << 20
"""More than launcher, forker and idle child hold each (some 11 MB, mostly shared), and the code that a run touches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The trees of all zygotes of a worker. Memory that processes share is counted for each of them."""

    processes: int = 0
    rss_bytes: int = 0
    idle: int = 0


class Excess(NamedTuple):
    """What a cage holds that it may not: *pids* are the children to end for it, *more* says that it is not theirs."""

    pids: Sequence[int]
    more: bool


def measure(pids: Sequence[int]) -> dict[int, int]:
    """Return the resident bytes of each process in the trees under *pids*; what ends meanwhile is left out."""
    found = {}
    for process in _trees(pids):
        try:
            found[process.pid] = process.memory_info().rss
        except psutil.Error:
            continue
    return found


def excess(held: Mapping[int, int], budgets: Mapping[int, int]) -> Excess:
    """Compare what processes hold with what they may hold: *budgets* has, for each child, what its run may use.

    While all together are within bounds nobody is to end. Beyond, those are that exceed their own, the worst first.
    """
    over = {pid: rss_bytes - _PROCESS_BYTES - budgets.get(pid, 0) for pid, rss_bytes in held.items()}
    too_much, ended = sum(over.values()), []
    for pid in sorted(budgets.keys() & over.keys(), key=lambda pid: -over[pid]):
        if too_much <= 0 or over[pid] <= 0:
            break
        too_much -= over[pid]
        ended.append(pid)
    return Excess(ended, too_much > 0)


def _trees(pids: Sequence[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        try:
            top = psutil.Process(pid)
            found += [top, *top.children(recursive=True)]
        except psutil.Error:
            continue
    return found
