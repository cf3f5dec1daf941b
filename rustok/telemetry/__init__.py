"""The traces: logs and metrics."""
