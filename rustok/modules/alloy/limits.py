"""What the scripts of a tenant may use: the platform's defaults, unless an operator has set others."""

from typing import Annotated

from pydantic import Field

from rustok.kernel.module import Input, Result


class RunLimits(Result):
    """What one run may use; the names are those of the cage."""

    cpu_ms: int = 500
    wall_ms: int = 2000
    memory_bytes: int = 64 << 20
    output_bytes: int = 256 << 10
    log_bytes: int = 16 << 10
    host_calls: int = 50


class ScriptLimits(RunLimits):
    """Limits of a tenant. `runs_a_minute`: runs beyond it start later, none is dropped; None: as they come."""

    scripts: int = 100
    versions_a_script: int = 200
    values_a_script: int = 1000
    value_bytes: int = 64 << 10
    calls_a_run: int = 10
    runs_a_minute: int | None = None
    failures_in_a_row: int = 20


class SetLimits(Input):
    """Fields that are absent go back to the platform's defaults."""

    cpu_ms: Annotated[int, Field(ge=10, le=10_000)] = 500
    wall_ms: Annotated[int, Field(ge=50, le=60_000)] = 2000
    memory_bytes: Annotated[int, Field(ge=8 << 20, le=1 << 30)] = 64 << 20
    output_bytes: Annotated[int, Field(ge=1 << 10, le=4 << 20)] = 256 << 10
    log_bytes: Annotated[int, Field(ge=1 << 10, le=1 << 20)] = 16 << 10
    host_calls: Annotated[int, Field(ge=0, le=1000)] = 50
    scripts: Annotated[int, Field(ge=0, le=10_000)] = 100
    versions_a_script: Annotated[int, Field(ge=1, le=10_000)] = 200
    values_a_script: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    value_bytes: Annotated[int, Field(ge=64, le=1 << 20)] = 64 << 10
    calls_a_run: Annotated[int, Field(ge=0, le=1000)] = 10
    runs_a_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    failures_in_a_row: Annotated[int, Field(ge=1, le=1_000_000)] = 20
