# ruff: noqa: A002, PYI021 - the names are those of ctx; the docstrings are what editors show
"""What a hook sees, for editors and type checkers: `from alloy import Context, Event`.

`rustok scripts types` wrote this file and writes it anew after an upgrade.
"""

from collections.abc import Mapping, MutableSequence, Sequence
from datetime import datetime
from typing import Any, Protocol, TypedDict, TypeVar

_T = TypeVar("_T")

class Event(TypedDict):
    """What happened. `rustok events schemas` shows what is in the payload of each type."""

    id: str
    """The same each time the event is delivered."""
    type: str
    """Such as `commerce.product.created`; `alloy.cron`, `alloy.manual` or `alloy.api` when no event started the run."""
    version: int
    """Of the payload's schema: the newest one that there was when the run was made."""
    tenant_id: str
    aggregate_type: str
    """What kind of thing it happened to, such as `product`."""
    aggregate_id: str
    """The id of that thing: `await ctx.get("commerce.products", event["aggregate_id"])`."""
    aggregate_version: int
    """The thing's version from then on."""
    occurred_at: str
    """RFC 3339."""
    actor: str
    """Who did it: `apikey:...`, `operator:...`, `script:...`."""
    correlation_id: str
    """The same for all that follows from one request."""
    causation_id: str
    """The command, run or event that led here."""
    traceparent: str | None
    """The trace of the request at the root (W3C Trace Context), if it had one: to be sent on with `ctx.http`."""
    payload: dict[str, Any]

class Log(Protocol):
    """Lines that the author finds with the run: `ctx.log("tagged", product=product["id"])`."""

    def __call__(self, message: object, **fields: Any) -> None: ...
    def warning(self, message: object, **fields: Any) -> None: ...
    def error(self, message: object, **fields: Any) -> None: ...

class KeyValues(Protocol):
    """What the script keeps from one run to the next, under keys of letters, digits and `_.:-`."""

    async def get(self, key: str, default: Any = None) -> Any:
        """Read a value; *default* where there is none."""

    def set(self, key: str, value: Any, ttl_s: int | None = None) -> None:
        """Keep a JSON value, for *ttl_s* seconds or for good; if it was read, and changed since, the run repeats."""

    def delete(self, key: str) -> None:
        """Forget a value."""

class Http(Protocol):
    """Requests that are sent after the run has succeeded, at least once, to hosts that the script names.

    Each is tried up to eight times, with the same `rustok-delivery` header. `secret_headers` are headers whose value
    is a secret of this name: `{"authorization": "chat-token"}`.
    """

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        secret_headers: Mapping[str, str] | None = None,
    ) -> None: ...
    def post(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        secret_headers: Mapping[str, str] | None = None,
    ) -> None: ...

class Random(Protocol):
    """Chance that a replay repeats; `import random` gives the same."""

    def random(self) -> float: ...
    def randint(self, a: int, b: int) -> int: ...
    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int: ...
    def choice(self, seq: Sequence[_T]) -> _T: ...
    def choices(
        self,
        population: Sequence[_T],
        weights: Sequence[float] | None = None,
        *,
        cum_weights: Sequence[float] | None = None,
        k: int = 1,
    ) -> list[_T]: ...
    def sample(self, population: Sequence[_T], k: int, *, counts: Sequence[int] | None = None) -> list[_T]: ...
    def shuffle(self, x: MutableSequence[Any]) -> None: ...
    def uniform(self, a: float, b: float) -> float: ...
    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float: ...

class Context(Protocol):
    """Reads, which are awaited, and effects, which are done together once the run has succeeded, or not at all."""

    now: datetime
    """When the run was asked for; the same in a replay."""
    random: Random
    run_id: str
    """The same for each attempt at the run."""
    tenant_id: str
    script: str
    """The script's name."""
    log: Log
    kv: KeyValues
    http: Http

    def new_id(self) -> str:
        """Make an id; a replay makes the same."""

    def print(self, *values: object, sep: str = " ", end: str = "") -> None:
        """Log a line, as the builtin `print` does here."""

    async def get(self, kind: str, id: str, /, **arguments: Any) -> Any:
        """Read one thing, such as `("commerce.products", product_id)`; None where there is none.

        An effect on what was read holds only while that is unchanged; otherwise the run repeats.
        """

    async def query(self, name: str, /, **arguments: Any) -> Any:
        """Ask a query by name, such as `("commerce.products.list", limit=50)`: a page is {"data", "page": {"next"}}."""

    async def search(self, kind: str, /, **arguments: Any) -> Any:
        """Search an index, such as `("products", locale="en", q="kettle")`."""

    async def secret(self, name: str) -> Any:
        """Read a secret that the script names. It is masked in what is kept of the run."""

    def command(self, name: str, /, **input: Any) -> None:
        """Run a command by name, such as `("commerce.prices.set", product_id=..., ...)`."""

    def create(self, kind: str, /, **fields: Any) -> None:
        """Create a thing: the command `<kind>.create`."""

    def update(self, kind: str, id: str, /, **changes: Any) -> None:
        """Change fields of a thing: the command `<kind>.update`."""

    def delete(self, kind: str, id: str, /) -> None:
        """Delete a thing: the command `<kind>.delete`."""

    def emit(self, name: str, /, **data: Any) -> None:
        """Publish an event `alloy.run.emitted` with this name and data."""
