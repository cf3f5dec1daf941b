"""Who still calls what is deprecated: a line in the log and a count for each call."""

import structlog

from rustok.kernel.context import Context
from rustok.kernel.module import Command, Query
from rustok.telemetry.metrics import DEPRECATED_CALLS

log = structlog.get_logger(__name__)


def notice(operation: Command | Query, context: Context) -> None:
    """Log and count this call if *operation* is deprecated."""
    if operation.deprecation is None:
        return
    DEPRECATED_CALLS.labels(operation.name).inc()
    log.warning(
        "deprecated_operation_called",
        operation=operation.name,
        tenant_id=str(context.tenant_id),
        actor=context.principal.actor,
        sunset=str(operation.deprecation.sunset or ""),
    )
