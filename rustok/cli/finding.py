"""What `rustok doctor` says of one thing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    ok: bool
    detail: str
