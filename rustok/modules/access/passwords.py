"""Passwords: Argon2id, two at a time in a process, since each takes 19 MiB and tens of milliseconds."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import AfterValidator, StringConstraints

from rustok.kernel.errors import Unavailable

_AT_A_TIME = 2
_PATIENCE_S = 5.0
# OWASP Password Storage Cheat Sheet, Argon2id: m = 19 MiB, t = 2, p = 1. Salt and tag: RFC 9106, section 3.1.
_ARGON2ID = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16)
_SHORTEST = 12
COMMON_PASSWORDS = Path(__file__).with_name("common_passwords.txt")
"""Those that are long enough, in lower case, one a line, after lines with `#` that tell where they are from."""
Result = TypeVar("Result")


class TooManyHashes(Unavailable):
    """Passwords are being looked at, two at a time, and others wait already: try again."""

    code = "too_many_sign_ins"

    def __init__(self, message: str) -> None:
        super().__init__(message, is_rolled_back=True)


def _long_enough(password: str) -> str:
    if len(_normal(password)) < _SHORTEST:
        raise ValueError(f"must have {_SHORTEST} characters or more")
    return password


def _uncommon(password: str) -> str:
    if _normal(password).lower() in _common_passwords():
        raise ValueError("is among the most common passwords: choose another")
    return password


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(line for line in COMMON_PASSWORDS.read_text("ascii").splitlines() if not line.startswith("#"))


NewPassword = Annotated[
    str,
    StringConstraints(min_length=_SHORTEST, max_length=256),
    AfterValidator(_long_enough),
    AfterValidator(_uncommon),
]
"""Twelve characters or more, of any kind: length is what counts, and that not many people have it.

NIST SP 800-63B, section 5.1.1.2.
"""


class PasswordHasher:
    """Hashes in two threads of its own; a few more callers wait, the others are refused.

    Whoever gives up leaves a thread at its work, and nobody's begins beside it.
    """

    def __init__(self, hasher: argon2.PasswordHasher = _ARGON2ID, patience_s: float = _PATIENCE_S) -> None:
        self._hasher = hasher
        self._patience_s = patience_s
        self._threads = ThreadPoolExecutor(_AT_A_TIME, "passwords")

    @cached_property
    def _of_nobody(self) -> str:
        return self._hasher.hash("")

    async def hash(self, password: str) -> str:
        """Return the hash of *password*, with its salt and its parameters. Raises TooManyHashes."""
        return await self._in_turn(self._hasher.hash, _normal(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether *password* is the one that was hashed; without a hash it is not, after the same work.

        Raises:
            TooManyHashes: no turn came in time.

        """
        return await self._in_turn(self._matches, password_hash, _normal(password))

    def _matches(self, password_hash: str | None, password: str) -> bool:
        of_nobody = self._of_nobody  # made by whoever comes first, and not only by whoever needs it
        try:
            matches = self._hasher.verify(of_nobody if password_hash is None else password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
        return matches and password_hash is not None

    async def _in_turn(self, work: Callable[..., Result], *arguments: str | None) -> Result:
        running = self._threads.submit(work, *arguments)
        answer = asyncio.wrap_future(running)
        try:
            await asyncio.wait([answer], timeout=self._patience_s)
            if running.cancel():  # it has not begun
                raise TooManyHashes("Too many sign in at this moment: try again.")
            return await answer
        finally:
            answer.cancel()  # whoever has gone wants no turn


def _normal(password: str) -> str:
    """Return the one form that all ways to type a password have (NIST SP 800-63B, section 5.1.1.2: NFKC)."""
    return unicodedata.normalize("NFKC", password)


PASSWORDS = PasswordHasher()
"""The one of this process."""
