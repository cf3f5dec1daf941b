"""What the processes of a cage come to, counted from outside."""

from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The trees of all zygotes of a worker. Memory that processes share is counted for each of them."""

    processes: int = 0
    rss_bytes: int = 0
    idle: int = 0


def measure(pids: Sequence[int], idle: int) -> Figures:
    """Look at the trees under *pids*; what ends meanwhile is left out."""
    processes, rss_bytes = 0, 0
    for process in _trees(pids):
        try:
            rss_bytes += process.memory_info().rss
        except psutil.Error:
            continue
        processes += 1
    return Figures(processes=processes, rss_bytes=rss_bytes, idle=idle)


def _trees(pids: Sequence[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        try:
            top = psutil.Process(pid)
            found += [top, *top.children(recursive=True)]
        except psutil.Error:
            continue
    return found
