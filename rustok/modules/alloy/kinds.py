"""The durable work of alloy."""

from rustok.kernel.module import JobKind

RUN = JobKind(name="alloy.run", summary="Run a script", queue="scripts", max_attempts=5)
CHECK = JobKind(name="alloy.check", summary="Check a version of a script and compile it", max_run_s=300.0)
CALL = JobKind(
    name="alloy.call", summary="Send what a script wanted sent", queue="calls", max_attempts=8, max_run_s=60.0
)
