"""Answers what a running hook awaits: reads, under the script's own rights, each in a transaction of its own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from pydantic import ValidationError

from rustok.db.unit_of_work import UnitOfWorkFactory
from rustok.kernel.context import Context
from rustok.kernel.errors import InvalidInput, NotFound, RustokError
from rustok.kernel.module import Query, Result
from rustok.kernel.registry import Registry, placeholders
from rustok.modules.alloy import schemas, state

_MASK = "***"
_SHORTEST_MASKED = 4
"""A shorter secret would blot out half of a text."""


class Refused(Exception):
    """The hook asked for what it cannot have; it is told why, and may go on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Queries(Protocol):
    async def query(self, query: Query, arguments: Mapping[str, Any], context: Context) -> Result:
        """Answer a query in a read-only transaction."""


@dataclass(slots=True)
class Seen:
    """What a run has read, and at which version: its effects hold only while that is still so."""

    versions: dict[str, int] = field(default_factory=dict)
    """By the id of an aggregate."""
    values: dict[str, int] = field(default_factory=dict)
    """By the key of a value that the script keeps; 0: there was none."""
    secrets: set[str] = field(default_factory=set)


class Host:
    """Serves one run. `names_of_secrets` are those that the script names."""

    def __init__(
        self,
        queries: Queries,
        units: UnitOfWorkFactory,
        registry: Registry,
        context: Context,
        *,
        script_id: UUID,
        names_of_secrets: frozenset[str],
    ) -> None:
        self._queries = queries
        self._units = units
        self._registry = registry
        self._context = context
        self._script_id = script_id
        self._names_of_secrets = names_of_secrets
        self.seen = Seen()

    async def answer(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Return the answer as JSON values.

        Raises:
            Refused: the script may not read this, or there is no such thing to ask for.
            Unavailable: a server failed.
            StaleAuthorization: the tenant's access rules or scripts have changed.

        """
        answers: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "get": self._get,
            "query": self._query,
            "search": self._search,
            "kv.get": self._value,
            "secret": self._secret,
        }
        if name not in answers:
            raise Refused("unknown_call", f"There is no call {name!r}.")
        try:
            return await answers[name](**arguments)
        except InvalidInput as error:
            faults = "; ".join(f"{v.pointer}: {v.detail}" for v in error.violations)
            raise Refused(error.code, f"{error} {faults}".strip()) from error
        except RustokError as error:
            if error.retryable:
                raise
            raise Refused(error.code, str(error)) from error
        except (TypeError, ValidationError) as error:
            raise Refused("invalid_input", f"{name} takes other arguments.") from error

    def masked(self, document: Any) -> Any:
        """Return *document* without the secrets that the run has seen."""
        if isinstance(document, str):
            for secret in self.seen.secrets:
                document = document.replace(secret, _MASK)
            return document
        if isinstance(document, Mapping):
            return {self.masked(key): self.masked(value) for key, value in document.items()}
        if isinstance(document, list | tuple):
            return [self.masked(value) for value in document]
        return document

    async def _get(self, kind: str, id: str, arguments: Mapping[str, Any]) -> Any:  # noqa: A002 - the hook's word
        query = self._find(f"{kind}.get")
        names = placeholders(query.route)
        if not names:
            raise Refused("unknown_call", f"{kind} are not read by an id: use ctx.query.")
        try:
            found = await self._ask(query, {names[0]: id, **arguments})
        except NotFound:
            return None
        if isinstance(found.get("version"), int):
            self.seen.versions.setdefault(str(id), found["version"])
        return found

    async def _query(self, name: str, arguments: Mapping[str, Any]) -> Any:
        return await self._ask(self._find(name), arguments)

    async def _search(self, kind: str, arguments: Mapping[str, Any]) -> Any:
        return await self._ask(self._find(f"index.{kind}.search"), arguments)

    async def _value(self, key: str) -> Any:
        async with self._units.begin(self._context, read_only=True) as uow:
            try:
                value = await state.get_value(uow, schemas.GetValue(script_id=self._script_id, key=key))
            except NotFound:
                self.seen.values.setdefault(key, 0)
                return None
        self.seen.values.setdefault(key, value.version)
        return value.value

    async def _secret(self, name: str) -> Any:
        if name not in self._names_of_secrets:
            raise Refused("secret_not_granted", f"The script does not name the secret {name!r} among its secrets.")
        self._context.require_permission(state.USE_SECRETS)
        async with self._units.begin(self._context, read_only=True) as uow:
            secret = await state.open_secret(uow, name)
        if len(secret) >= _SHORTEST_MASKED:
            self.seen.secrets.add(secret)
        return secret

    def _find(self, name: str) -> Query:
        query = self._registry.queries.get(name)
        if query is None:
            raise Refused("unknown_call", f"There is no query {name}.")
        return query

    async def _ask(self, query: Query, arguments: Mapping[str, Any]) -> Any:
        return (await self._queries.query(query, arguments, self._context)).model_dump(mode="json")
