"""Every setting of the platform, read once by a root from the environment (prefix `RUSTOK_`)."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from rustok.kernel.domain import Domain
from rustok.kernel.errors import Misconfigured
from rustok.kernel.fields import QuotaText


class Settings(BaseSettings):
    """One frozen object. Roots hand out its fields, never the object."""

    model_config = SettingsConfigDict(env_prefix="RUSTOK_", frozen=True, extra="ignore")

    environment: Literal["dev", "test", "live"] = "live"
    """Part of every API key, so that a key of one environment is visibly wrong in another."""

    database_url: SecretStr | None = None
    """PostgreSQL as the role `rustok_app`: what the API uses. Not set: `rustok dev` starts its own server."""
    system_database_url: SecretStr | None = None
    """PostgreSQL as the role `rustok_system`: what relay and workers use."""
    owner_database_url: SecretStr | None = None
    """PostgreSQL as the role `rustok_owner`: what `rustok db migrate` uses."""
    admin_database_url: SecretStr | None = None
    """PostgreSQL as a role that may create roles: what `rustok db init` uses, once."""
    database_pool_size: int = Field(default=16, ge=1, le=500)
    """Connections a process keeps open at most."""
    database_statement_timeout_s: float = Field(default=5.0, gt=0)
    """Seconds after which PostgreSQL cancels a statement of the API."""
    database_pool_timeout_s: float = Field(default=2.0, gt=0)
    """Seconds a request waits for a free connection before it is answered 503."""

    redis_url: SecretStr | None = None
    """Redis or Valkey, for hints to the workers. Not set: `rustok dev` starts its own server."""

    event_transport: Literal["memory", "outbox"] = "outbox"
    """Where events travel: `memory` (one process, nothing survives it) or `outbox` (PostgreSQL)."""

    admission_soft_age_s: float = Field(default=10.0, gt=0)
    """Seconds: while an undelivered event is older, the API answers a rising share of the writes 429; inf: never."""
    admission_hard_age_s: float = Field(default=60.0, gt=0)
    """Seconds: while an undelivered event is older, the API answers all but critical writes 503; inf: never."""

    event_log_kept_days: int = Field(default=0, ge=0, le=36_500)
    """Days after which the relay may drop events that every consumer has read; 0: never."""

    finished_jobs_kept_days: int = Field(default=30, ge=1, le=36_500)
    """Days after which the relay forgets jobs that are done, and with them the runs of scripts."""

    secret: SecretStr | None = None
    """Signs cursors and peppers API keys, 32 characters or more. A new one invalidates all of them."""

    state_dir: Path | None = None
    """Where embedded servers keep their data. Not set: the XDG state directory."""

    api_host: str = "127.0.0.1"
    """Address that the API listens on."""
    allowed_origins: str | None = None
    """Origins besides its own whose pages may call the API in browsers: such as https://shop.example.com, with commas.
    Not set: none."""
    tenant_base_domain: Domain | None = None
    """Each tenant has the host `<slug>.<this domain>`. Not set: only the domains that an operator gives it."""
    api_port: int = Field(default=8000, ge=0, le=65535)
    """Port of the API; `rustok dev` takes the next free one if it is in use."""
    requests_in_progress: int = Field(default=128, ge=1, le=10_000)
    """Requests that an API process works at; more wait, two seconds at most, and then are answered 503. Who waits for a
    client does not count."""
    request_quota: QuotaText = "1000/s"
    """Requests that a tenant may send to an API process: NUMBER/s, NUMBER/min or NUMBER/h; `rustok tenant quota` gives
    one tenant another."""
    body_limit_bytes: int = Field(default=1_048_576, ge=1024)
    """Largest request body; that of a batch may be four times as large."""

    graphql_introspection: Literal["auto", "on", "off"] = "auto"
    """Whether GraphQL tells its schema to who asks; `auto`: everywhere but in the environment `live`."""

    worker_processes: int = Field(default=1, ge=1, le=64)
    """Worker processes of `rustok worker` and `rustok dev`."""
    worker_threads: int = Field(default=8, ge=1, le=64)
    """Messages for consumers that a worker process handles at the same time; each queue of jobs has 16 more."""

    sandbox: Literal["required", "unsafe-dev"] = "required"
    """`unsafe-dev` runs scripts even where the kernel cannot hold them; never with code of other people."""
    sandbox_children: int = Field(default=4, ge=1, le=64)
    """Warm processes that a worker keeps for scripts; twice as many runs may be in the cage, four times under way."""

    metrics_host: str = "127.0.0.1"
    """Address that relay and workers serve metrics on."""
    relay_metrics_port: int = Field(default=0, ge=0, le=65535)
    """Where the relay serves its metrics; 0: nowhere."""
    worker_metrics_port: int = Field(default=0, ge=0, le=65535)
    """Where the first worker process serves its metrics, the second on the next port; 0: nowhere."""

    egress_allowed_networks: str | None = None
    """Networks besides the public Internet that calls of scripts may reach: CIDRs with commas. Not set: none."""

    oidc_providers: SecretStr | None = None
    """OpenID providers that users may sign in by: a JSON list of objects with name, issuer, client_id, client_secret,
    redirect_uri, and perhaps algorithm and tenants. Not set: none."""
    oidc_allowed_networks: str | None = None
    """Networks besides the public Internet where these providers may be: CIDRs with commas. Not set: none."""

    log_format: Literal["json", "console"] = "json"
    """One JSON object a line, or text for people."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least important lines that are written."""

    @property
    def tells_graphql_schema(self) -> bool:
        is_live = self.environment == "live"
        return self.graphql_introspection == "on" or (self.graphql_introspection == "auto" and not is_live)


def load_settings() -> Settings:
    """Return the settings of this process.

    Raises:
        Misconfigured: a value is not allowed; the message names the variable and the valid values.

    """
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"RUSTOK_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        raise Misconfigured("The environment does not fit: " + "; ".join(faults)) from None


def required(value: SecretStr | None, name: str) -> str:
    """Return the text of a setting that this process cannot do without.

    Raises:
        Misconfigured: it is not set.

    """
    if value is None:
        raise Misconfigured(f"Set RUSTOK_{name.upper()}, or run `rustok dev`, which brings its own servers.")
    return value.get_secret_value()
