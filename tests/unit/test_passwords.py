"""Passwords: two are hashed at a time, and nobody learns from the work whether there was a hash."""

import asyncio
import threading
from typing import Literal

import argon2
import pytest
from pydantic import TypeAdapter, ValidationError

from rustok.modules.access.passwords import COMMON_PASSWORDS, PASSWORDS, NewPassword, PasswordHasher, TooManyHashes
from tests.waiting import eventually

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class SlowHasher(argon2.PasswordHasher):
    """Begins, and ends when it is let; counts how many are at work, and what they did."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.may_end = threading.Event()
        self.at_work, self.most, self.verified = 0, 0, 0
        self._lock = threading.Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        with self._lock:
            self.at_work += 1
            self.verified += 1
            self.most = max(self.most, self.at_work)
        self.may_end.wait(10)
        with self._lock:
            self.at_work -= 1
        return super().verify(hash, password)


async def test_a_password_matches_its_hash_and_no_other() -> None:
    """However it is typed: NFKC makes one of the two ways to write é."""
    password_hash = await PASSWORDS.hash("cafe\u0301 in the morning")

    assert await PASSWORDS.verify(password_hash, "caf\u00e9 in the morning")
    assert not await PASSWORDS.verify(password_hash, "cafe in the morning")


async def test_a_hash_tells_its_parameters() -> None:
    """Those of OWASP's Password Storage Cheat Sheet for Argon2id."""
    assert (await PASSWORDS.hash("correct horse battery")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("password_hash", ["", "x", "$argon2id$v=19$m=19456,t=2,p=1$", "$2b$12$abc"])
async def test_what_is_no_hash_matches_nothing(password_hash: str) -> None:
    """And does not raise."""
    assert not await PasswordHasher(CHEAP).verify(password_hash, "")


async def test_without_a_hash_the_same_work_is_done() -> None:
    """And no password matches, not even an empty one."""
    slow = SlowHasher()
    slow.may_end.set()
    hasher = PasswordHasher(slow)

    assert not await hasher.verify(None, "")
    assert slow.verified == 1


async def test_two_are_hashed_at_a_time() -> None:
    """However many ask."""
    slow = SlowHasher()
    hasher = PasswordHasher(slow)
    password_hash = CHEAP.hash("a password")
    asked = [asyncio.create_task(hasher.verify(password_hash, "a password")) for _ in range(6)]
    await asyncio.to_thread(eventually, lambda: slow.at_work == 2)

    slow.may_end.set()

    assert await asyncio.gather(*asked) == [True] * 6
    assert slow.most == 2


async def test_who_waits_for_too_long_is_refused() -> None:
    """Come back later; those who are at it go on."""
    slow = SlowHasher()
    hasher = PasswordHasher(slow, patience_s=0.01)
    password_hash = CHEAP.hash("a password")
    at_it = [asyncio.create_task(hasher.verify(password_hash, "a password")) for _ in range(2)]
    await asyncio.to_thread(eventually, lambda: slow.at_work == 2)

    with pytest.raises(TooManyHashes):
        await hasher.verify(password_hash, "a password")

    slow.may_end.set()
    assert await asyncio.gather(*at_it) == [True, True]


async def test_whoever_gives_up_makes_no_room_for_a_third() -> None:
    """A thread cannot be stopped: clients that hang up, one after the other, do not have it all computed at once."""
    slow = SlowHasher()
    hasher = PasswordHasher(slow, patience_s=0.01)
    password_hash = CHEAP.hash("a password")
    gone = [asyncio.create_task(hasher.verify(password_hash, "a password")) for _ in range(2)]
    await asyncio.to_thread(eventually, lambda: slow.at_work == 2)

    for task in gone:
        task.cancel()
    await asyncio.wait(gone)

    with pytest.raises(TooManyHashes):
        await hasher.verify(password_hash, "a password")
    slow.may_end.set()
    assert slow.most == 2


@pytest.mark.parametrize("password", ["", "short", "eleven char", "ﬃ" * 3, "a" * 257])
def test_a_new_password_is_long_enough(password: str) -> None:
    """And not endless."""
    with pytest.raises(ValidationError):
        TypeAdapter(NewPassword).validate_python(password)


@pytest.mark.parametrize("password", ["password1234", "PassWord1234", "ｑｗｅｒｔｙ１２３４５６"])
def test_a_new_password_is_none_that_many_people_have(password: str) -> None:
    """In whatever case it is written, and however it is typed; the message tells."""
    with pytest.raises(ValidationError, match="among the most common passwords"):
        TypeAdapter(NewPassword).validate_python(password)


def test_every_common_password_is_refused_for_that_alone() -> None:
    """None is in the list in vain: too short, or in another case than it is looked for."""
    lines = COMMON_PASSWORDS.read_text().splitlines()
    passwords = [line for line in lines if not line.startswith("#")]

    for password in passwords:
        with pytest.raises(ValidationError, match="among the most common passwords"):
            TypeAdapter(NewPassword).validate_python(password)
    assert len(set(passwords)) == len(passwords) > 400


@pytest.mark.parametrize("password", ["twelve chars", "password 1234", "            ", "пароль пароль", "🔑" * 12])
def test_any_character_will_do(password: str) -> None:
    """No rule says which."""
    assert TypeAdapter(NewPassword).validate_python(password) == password
