"""Read your writes: a reader shows the tokens of its writes, and is told whether the index shows them, or waits for it.

`Prefer: wait` and `handling=strict` are RFC 7240's.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple
from uuid import UUID

from starlette.requests import Request

from api.faults import InvalidHeader, ProjectionLagging
from api.in_progress import aside
from rustok.index.freshness import Freshness
from rustok.kernel.consistency import Change, Tokens, Written
from rustok.kernel.ports import Clock
from rustok.kernel.secrets import Secrets

TOKEN = "RusToK-Consistency"  # noqa: S105 - the name of a header
FRESHNESS = "RusToK-Freshness"
LONGEST_WAIT_S = 10
MOST_TOKENS = 16

_WAIT = re.compile(r"[0-9]{1,9}")


class Preferences(NamedTuple):
    """How long a reader waits, in seconds, and whether an answer without its writes is of use to it."""

    wait_s: int
    is_strict: bool

    @property
    def applied(self) -> str:
        wait = [f"wait={self.wait_s}"] if self.wait_s else []
        return ", ".join([*wait, *(["handling=strict"] if self.is_strict else [])])


class ReadYourWrites:
    """What queries do about the tokens that they are shown."""

    def __init__(self, freshness: Freshness, secrets: Secrets, clock: Clock) -> None:
        self._freshness = freshness
        self._tokens = Tokens(secrets)
        self._clock = clock

    async def look(self, request: Request, tenant_id: UUID, tables: Iterable[str]) -> dict[str, str]:
        """Wait as the reader prefers, and return the headers that tell it what it is going to read.

        There are none where it shows no token. *tables*: the index tables that are read; what is read in the tables of
        a module is always fresh.

        Raises:
            InvalidHeader: a token was not issued to this tenant.
            ProjectionLagging: the reader is strict, and the index does not show its writes yet.

        """
        writes = self._writes(request, tenant_id)
        if not writes:
            return {}
        preferences = read_preferences(request)
        headers = {"Preference-Applied": preferences.applied} if preferences.applied else {}
        changes = {change for written in writes for change in written.changes}
        look = partial(self._freshness.missing, tenant_id=tenant_id, changes=changes, patience_s=preferences.wait_s)
        with aside(request.scope):
            missing = frozenset[Change]().union(*await asyncio.gather(*map(look, tables)))
        if not missing:
            return {FRESHNESS: "fresh", **headers}
        if preferences.is_strict:
            raise ProjectionLagging("The index does not show these writes yet: read again, or prefer to wait longer.")
        since_s = min(written.at_s for written in writes if not missing.isdisjoint(written.changes))
        return {FRESHNESS: f"stale; lag={max(0.0, self._clock.now().timestamp() - since_s):.1f}", **headers}

    def _writes(self, request: Request, tenant_id: UUID) -> Sequence[Written]:
        given = ",".join(request.headers.getlist(TOKEN))
        tokens = [token for each in given.split(",") if (token := each.strip())]
        if len(tokens) > MOST_TOKENS:
            raise InvalidHeader(f"{TOKEN} must name {MOST_TOKENS} writes at most.")
        try:
            return [self._tokens.read(token, tenant_id) for token in tokens]
        except ValueError as error:
            raise InvalidHeader(f"{TOKEN} must be what a write of this tenant was answered.") from error


def read_preferences(request: Request) -> Preferences:
    """Return what Prefer says; what this API does not know, or cannot read, is ignored, as RFC 7240 wants it.

    A longer wait than `LONGEST_WAIT_S` is cut to it.
    """
    found: dict[str, str] = {}
    for preference in ",".join(request.headers.getlist("prefer")).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = found.get("wait", "")
    wait_s = min(int(wait), LONGEST_WAIT_S) if _WAIT.fullmatch(wait) else 0
    return Preferences(wait_s, found.get("handling", "").lower() == "strict")
