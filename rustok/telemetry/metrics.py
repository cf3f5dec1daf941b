"""Every metric of the platform, with labels and unit. Seconds and bytes; never a tenant as a label."""

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

HTTP_REQUEST_SECONDS = Histogram(
    "rustok_http_request_seconds",
    "Time from the request's head to the answer's last byte",
    ["method", "route", "status"],
    buckets=_LATENCY_BUCKETS_S,
)
OUTBOX_PENDING = Gauge("rustok_outbox_pending", "Committed events without a place in the log")
OUTBOX_OLDEST_AGE_SECONDS = Gauge("rustok_outbox_oldest_age_seconds", "Age of the oldest of them")
LOG_POSITION = Gauge("rustok_log_position", "Highest position of the event log")
PROJECTION_LAG_EVENTS = Gauge("rustok_projection_lag_events", "Events that a consumer has not read yet", ["consumer"])
PROJECTION_LAG_SECONDS = Gauge(
    "rustok_projection_lag_seconds", "Age of the oldest event that a consumer has not read yet", ["consumer"]
)
DEAD_LETTERS = Gauge("rustok_dead_letters", "Aggregates that a consumer has given up on", ["consumer"])
SEQUENCED_EVENTS = Counter("rustok_sequenced_events", "Events that this relay has put into the log")
HINTS_SENT = Counter("rustok_hints_sent", "Wake-up messages that this relay has sent to workers")
CONSUMED_EVENTS = Counter("rustok_consumed_events", "Events that this worker has read", ["consumer"])
CONSUME_SECONDS = Histogram(
    "rustok_consume_seconds",
    "Time of one wake-up of a consumer, all its batches",
    ["consumer"],
    buckets=_LATENCY_BUCKETS_S,
)
