"""What the cage takes and gives: values only."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["A", "B", "C", "unsafe-dev", "none"]
"""A: every layer. B: no namespaces. C: no Landlock. none: less than seccomp, rlimits and the CPU timer; nothing runs
unless the operator has allowed it, which is unsafe-dev."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use. The kernel counts CPU and memory, the host the rest."""

    cpu_ms: int = 500
    wall_ms: int = 2000
    """Time in host calls is not counted."""
    memory_bytes: int = 64 << 20
    """Above what an idle child has."""
    output_bytes: int = 256 << 10
    """Result and effects, as JSON."""
    log_bytes: int = 16 << 10
    host_calls: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """Bytecode, opaque to the host: only a child may look into it. It fits this policy and this Python alone."""

    bytecode: bytes
    policy_version: str
    magic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run. The same job gives the same outcome: time, chance and ids are part of it."""

    bytecode: bytes
    event: Mapping[str, Any]
    now: str
    """RFC 3339."""
    seed: str
    run_id: str
    tenant_id: str
    script: str
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run used above what its child had used to get ready.

    CPU time and memory are the child's own word where it answered, believed as far as its limits and its wall time
    allow it to be true, and the kernel's where it did not. `peak_bytes` is resident memory.
    """

    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    peak_bytes: int = 0
    host_calls: int = 0
    output_bytes: int = 0
    log_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a run failed. `limit` and `used` are in the unit of the limit that was exceeded."""

    code: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    limit: int | None = None
    used: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a run. With a fault there are no effects; the log is there in any case where it was sent."""

    result: Any = None
    effects: Sequence[Mapping[str, Any]] = ()
    logs: Sequence[Mapping[str, Any]] = ()
    log_truncated: bool = False
    usage: Usage = field(default_factory=Usage)
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What protects the host on this machine, as found when the cage started."""

    level: Level
    layers: Mapping[str, bool]
    detail: str = ""
    """Why nothing runs, where it is not for want of layers."""


HostCall = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
"""Answers what a hook awaits, by name and arguments. It may raise `HostCallRefused`, which the hook sees."""


class HostCallRefused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SandboxUnavailable(Exception):
    """No fault of the script: try again."""
