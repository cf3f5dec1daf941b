"""A chain of audit rows holds, or its first bad row is named: whatever is changed, deleted, inserted or reordered."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from uuid import UUID

import pytest

from rustok.modules.access.audit_chain import NO_ROW, AuditRow, ChainCheck, Fault, Head, Verdict, read_anchor

TENANT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
ROWS = 10_000
TRIES = 8
"""Rows that each kind of tampering is tried on, besides the first and the last."""

Rows = Sequence[AuditRow]


def a_row(head: Head, tenant_id: UUID = TENANT) -> AuditRow:
    """Return the row that comes after *head*."""
    number = head.number + 1
    return AuditRow(
        tenant_id=tenant_id,
        number=number,
        event_id=UUID(int=number),
        type="access.api_key.created",
        actor="operator:anna",
        aggregate_type="api_key",
        aggregate_id=UUID(int=2 * number),
        correlation_id=UUID(int=3 * number),
        causation_id=UUID(int=4 * number),
        occurred_at=f"{1_764_256_146 + number}.000000",
        payload='{"role": "manager", "key_id": "5f1d9c2ab4e07733"}',
        previous_hash=head.hash,
    ).sealed()


def a_chain(length: int) -> list[AuditRow]:
    rows: list[AuditRow] = []
    for _ in range(length):
        rows.append(a_row(rows[-1].head if rows else NO_ROW))
    return rows


CHAIN = a_chain(ROWS)


def verdict(rows: Iterable[AuditRow], anchor: Head = NO_ROW) -> Verdict:
    """Follow *rows* as PostgreSQL would return them."""
    check = ChainCheck(anchor)
    for row in sorted(rows, key=lambda row: (row.number, row.event_id)):
        if not check.follow(row):
            break
    return check.end()


def first_bad(rows: Iterable[AuditRow], anchor: Head = NO_ROW) -> int:
    """Return the number of the first bad row; all before it are good."""
    good, fault = verdict(rows, anchor)
    assert fault is not None
    assert good == max(0, fault.number - 1)
    return fault.number


def changed(row: AuditRow) -> AuditRow:
    return row._replace(actor="operator:mallory")


def change(rows: list[AuditRow], at: int) -> int:
    rows[at] = changed(rows[at])
    return at + 1


def change_with_its_hash(rows: list[AuditRow], at: int) -> int:
    """The next row tells: it was appended to another one."""
    rows[at] = changed(rows[at]).sealed()
    return at + 1


def delete(rows: list[AuditRow], at: int) -> int:
    del rows[at]
    return at + 1


def delete_and_close_the_gap(rows: list[AuditRow], at: int) -> int:
    del rows[at]
    rows[at:] = [row._replace(number=row.number - 1) for row in rows[at:]]
    return at + 1


def insert(rows: list[AuditRow], at: int) -> int:
    """A forged row in the place of one, which gives way with all that come after it."""
    rows[at:] = [row._replace(number=row.number + 1) for row in rows[at:]]
    rows.insert(at, changed(rows[at])._replace(number=at + 1, event_id=UUID(int=7)))
    return at + 1


def insert_with_its_hash(rows: list[AuditRow], at: int) -> int:
    """It holds in itself and fits what is before it; the row that had to give way does not hold."""
    rows[at:] = [row._replace(number=row.number + 1) for row in rows[at:]]
    rows.insert(at, changed(a_row(rows[at - 1].head if at else NO_ROW)))
    rows[at] = rows[at].sealed()
    return at + 2


def insert_beside(rows: list[AuditRow], at: int) -> int:
    """A second row with the same number, where the key of the table is gone."""
    rows.insert(at + 1, rows[at]._replace(event_id=UUID(int=2**64)))
    return at + 1


def swap(rows: list[AuditRow], at: int) -> int:
    """Two rows in each other's place."""
    other = at - 1 if at + 1 == len(rows) else at + 1
    first, second = sorted((at, other))
    rows[first], rows[second] = (
        rows[second]._replace(number=first + 1),
        rows[first]._replace(number=second + 1),
    )
    return first + 1


def swap_with_hashes(rows: list[AuditRow], at: int) -> int:
    """Both hold in themselves, and the first even fits what is before it: the second has another row before it."""
    first = at - 1 if at + 1 == len(rows) else at
    for place, (row, before) in {
        first: (rows[first + 1], rows[first].previous_hash),
        first + 1: (rows[first], rows[first].hash),
    }.items():
        rows[place] = row._replace(number=place + 1, previous_hash=before).sealed()
    return first + 1


TAMPERINGS: Sequence[Callable[[list[AuditRow], int], int]] = (
    change,
    change_with_its_hash,
    delete,
    delete_and_close_the_gap,
    insert,
    insert_with_its_hash,
    insert_beside,
    swap,
    swap_with_hashes,
)
"""Each spoils a chain at a place, counted from 0, and returns the number of the first row that does not hold."""
NEEDS_A_NEXT_ROW = (change_with_its_hash, delete, delete_and_close_the_gap)
"""What an anchor is for, at the very end: there is no row that could tell."""


def places(tamper: object) -> list[int]:
    last = ROWS - 1 - (tamper in NEEDS_A_NEXT_ROW)
    return [0, last, *random.Random(6).sample(range(1, last), TRIES)]


def test_a_chain_holds() -> None:
    """All of its rows are good, and the last one is as good an anchor as any."""
    assert verdict(CHAIN) == (ROWS, None)
    for row in (CHAIN[0], CHAIN[ROWS // 2], CHAIN[-1]):
        assert verdict(CHAIN, row.head) == (ROWS, None)


def test_no_row_is_a_chain() -> None:
    """A tenant of whom nothing is known yet."""
    assert verdict([]) == (0, None)


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_tampering_with_any_row_is_found_and_the_first_bad_row_named(
    tamper: Callable[[list[AuditRow], int], int],
) -> None:
    """Of ten thousand: the first, the last, and a sample. All rows before the one that is named are good."""
    for at in places(tamper):
        rows = list(CHAIN)
        expected = tamper(rows, at)

        assert first_bad(rows) == expected, f"{tamper.__name__} at {at}"


@pytest.mark.parametrize("kept", [0, 1, ROWS - 1])
def test_a_tail_that_was_cut_off_is_missed_by_an_anchor_alone(kept: int) -> None:
    """What is left is a chain; the first row that is gone is named."""
    assert verdict(CHAIN[:kept]) == (kept, None)
    assert first_bad(CHAIN[:kept], CHAIN[-1].head) == kept + 1


def test_a_chain_that_was_computed_anew_is_told_by_an_anchor_alone() -> None:
    """From the forged row on, every hash fits. The anchored row is where it shows."""
    rows = CHAIN[:10]
    rows[5] = changed(rows[5]).sealed()
    for at in range(6, 10):
        rows[at] = rows[at]._replace(previous_hash=rows[at - 1].hash).sealed()

    assert verdict(rows) == (10, None)
    for anchored in (5, 7, 9):
        assert first_bad(rows, CHAIN[anchored].head) == anchored + 1
    assert verdict(rows, CHAIN[4].head) == (10, None), "an anchor says nothing of what came after it"


def test_the_end_of_another_chain_is_no_chain() -> None:
    """Its rows hold, and were appended to others."""
    fault = Fault(1, "not the first row of its chain: it was appended to another one")

    assert verdict([a_row(Head(0, b"another"))]) == (0, fault)


@pytest.mark.parametrize("number", [0, -1])
def test_a_row_before_the_first_is_one_too_many(number: int) -> None:
    """Numbers begin with 1."""
    assert first_bad([CHAIN[0]._replace(number=number).sealed(), *CHAIN[:3]]) == number


@pytest.mark.parametrize("field", AuditRow._fields[:-1])
def test_the_hash_covers_every_field(field: str) -> None:
    """Also the tenant: a row of one chain is none of another's."""
    others = {UUID: UUID(int=9), int: 2, str: "other", bytes: b"other"}
    values = zip(AuditRow._fields, CHAIN[0], strict=True)
    row = AuditRow._make(others[type(value)] if name == field else value for name, value in values)

    assert row.computed_hash() != CHAIN[0].hash


@pytest.mark.parametrize("texts", [("ab", "c"), ("", "abc"), ('a","b', "c"), ("a\\", 'bc"'), ("a", '","c')])
def test_no_text_can_be_moved_into_another_field(texts: tuple[str, str]) -> None:
    """The array says where a field ends, whatever is in it."""
    moved = CHAIN[0]._replace(type=texts[0], actor=texts[1])

    assert moved.computed_hash() != CHAIN[0]._replace(type="a", actor="bc").computed_hash()


def test_a_hash_can_be_computed_by_anybody() -> None:
    """With an export, and no code of ours: this is all there is to it."""
    payload = '{"name": "Zo\u00eb \\u2028 \\\\ \\u0001", "n": 0.10}'
    row = a_row(Head(41, bytes(range(32))))._replace(payload=payload).sealed()
    array = [
        "rustok audit 1",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        42,
        "00000000-0000-0000-0000-00000000002a",
        "access.api_key.created",
        "operator:anna",
        "api_key",
        "00000000-0000-0000-0000-000000000054",
        "00000000-0000-0000-0000-00000000007e",
        "00000000-0000-0000-0000-0000000000a8",
        "1764256188.000000",
        payload,
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    ]

    assert row.hash == sha256(json.dumps(array, separators=(",", ":"), ensure_ascii=False).encode()).digest()


def test_an_anchor_is_read_as_it_is_printed() -> None:
    """And shows the number first."""
    head = CHAIN[41].head

    assert str(head).startswith("42:")
    assert read_anchor(str(head)) == head


@pytest.mark.parametrize("text", ["", "42", "42:", "42:abc", f"0:{'0' * 64}", f"-1:{'a' * 64}", f"1:{'A' * 64}", "x:y"])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    """With what it should be."""
    with pytest.raises(ValueError, match="NUMBER:HASH"):
        read_anchor(text)
