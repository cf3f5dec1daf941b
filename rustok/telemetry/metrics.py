"""Every metric of the platform, with labels and unit. Seconds and bytes; never a tenant as a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


API, RELAY, WORKER = _registry(), _registry(), _registry()
"""One a kind of process: a counter of the relay would read 0 in the API, which is not what it is."""
LOG = CollectorRegistry()
"""Facts of the database, which no process has of its own: the API tells them when it has just read them."""

_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

HTTP_REQUEST_SECONDS = Histogram(
    "rustok_http_request_seconds",
    "Time from the request's head to the answer's last byte",
    ["method", "route", "status"],
    buckets=_LATENCY_BUCKETS_S,
    registry=API,
)
UNDELIVERED_AGE_SECONDS = Gauge(
    "rustok_undelivered_age_seconds",
    "Age of the oldest undelivered event, as the latest writes of this process were judged by it",
    registry=API,
)
WRITES_REFUSED = Counter(
    "rustok_writes_refused", "Commands that were refused because events are delivered late", ["code"], registry=API
)
DEPRECATED_CALLS = Counter(
    "rustok_deprecated_calls", "Calls of operations that are not to be used any more", ["operation"], registry=API
)
WORKER.register(DEPRECATED_CALLS)  # scripts call, too
REQUESTS_SHED = Counter(
    "rustok_requests_shed",
    "Requests that were refused because the process had enough of them in progress",
    registry=API,
)
OUTBOX_PENDING = Gauge("rustok_outbox_pending", "Committed events without a place in the log", registry=LOG)
OUTBOX_OLDEST_AGE_SECONDS = Gauge("rustok_outbox_oldest_age_seconds", "Age of the oldest of them", registry=LOG)
LOG_POSITION = Gauge("rustok_log_position", "Highest position of the event log", registry=LOG)
PROJECTION_LAG_EVENTS = Gauge(
    "rustok_projection_lag_events", "Events that a consumer has not read yet", ["consumer"], registry=LOG
)
PROJECTION_LAG_SECONDS = Gauge(
    "rustok_projection_lag_seconds",
    "Age of the oldest event that a consumer has not read yet",
    ["consumer"],
    registry=LOG,
)
DEAD_LETTERS = Gauge("rustok_dead_letters", "Aggregates that a consumer has given up on", ["consumer"], registry=LOG)
NEEDS_VERSION = Gauge(
    "rustok_needs_version",
    "Aggregates of a consumer, or jobs of a kind, that wait for a worker of a release that knows them",
    ["what"],
    registry=LOG,
)
QUEUE_DEPTH = Gauge("rustok_queue_depth", "Jobs that are not done, by state", ["queue", "state"], registry=LOG)
QUEUE_OLDEST_AGE_SECONDS = Gauge(
    "rustok_queue_oldest_age_seconds",
    "How long ago the job was due that waits for the longest time",
    ["queue"],
    registry=LOG,
)
WORKERS = Gauge("rustok_workers", "Worker processes by what they are doing", ["state"], registry=LOG)
WORKERS_ONLINE = Gauge("rustok_workers_online", "Worker processes that were heard of lately", registry=LOG)
WORKERS_SANDBOX = Gauge(
    "rustok_workers_sandbox", "How many of them are protected from scripts at a level", ["level"], registry=LOG
)
SEQUENCED_EVENTS = Counter("rustok_sequenced_events", "Events that this relay has put into the log", registry=RELAY)
HINTS_SENT = Counter("rustok_hints_sent", "Wake-up messages that this relay has sent to workers", registry=RELAY)
CONSUMED_EVENTS = Counter("rustok_consumed_events", "Events that this worker has read", ["consumer"], registry=WORKER)
REDIS_BYPASSED = Gauge(
    "rustok_redis_bypassed", "1 while this worker looks into PostgreSQL itself, without Redis", registry=WORKER
)
JOBS_TOTAL = Counter("rustok_jobs", "Attempts at jobs that ended in this worker", ["kind", "outcome"], registry=WORKER)
JOB_RUN_SECONDS = Histogram(
    "rustok_job_run_seconds", "Time of an attempt", ["kind"], buckets=_LATENCY_BUCKETS_S, registry=WORKER
)
CONSUME_SECONDS = Histogram(
    "rustok_consume_seconds",
    "Time of one wake-up of a consumer, all its batches",
    ["consumer"],
    buckets=_LATENCY_BUCKETS_S,
    registry=WORKER,
)
SCRIPT_RUNS = Counter(
    "rustok_script_runs", "Attempts at runs of scripts, by what came of them", ["outcome"], registry=WORKER
)
CALLS_PUT_OFF = Counter(
    "rustok_calls_put_off",
    "Calls of scripts that were not made, to spare a server that fails",
    ["reason"],
    registry=WORKER,
)
SANDBOX_RUN_SECONDS = Histogram(
    "rustok_sandbox_run_seconds",
    "Time of a run in the cage, without the calls of the host",
    buckets=_LATENCY_BUCKETS_S,
    registry=WORKER,
)
SANDBOX_PEAK_BYTES = Histogram(
    "rustok_sandbox_peak_bytes",
    "Memory that a run had at most, above an idle child's",
    buckets=[float(1 << n) for n in range(16, 31, 2)],
    registry=WORKER,
)
SANDBOX_KILLS = Counter("rustok_sandbox_kills", "Runs that the cage had to end", ["reason"], registry=WORKER)
POLICY_VIOLATIONS = Counter(
    "rustok_policy_violations", "Runs that tried what no hook may: look at the script at once", registry=WORKER
)
SANDBOX_EVENTS = Counter(
    "rustok_sandbox_events", "What befell the cage: children lost, zygotes replaced", ["event"], registry=WORKER
)
SANDBOX_PROCESSES = Gauge("rustok_sandbox_processes", "Processes of this worker's cage", registry=WORKER)
SANDBOX_RSS_BYTES = Gauge("rustok_sandbox_rss_bytes", "Memory of this worker's cage, all processes", registry=WORKER)
SANDBOX_LEVEL = Gauge(
    "rustok_sandbox_level", "1 for the level that protects this worker from scripts", ["level"], registry=WORKER
)
