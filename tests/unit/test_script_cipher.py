"""A secret opens where it was sealed: same key, tenant, name and version, not a bit changed."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustok.modules.alloy.cipher import Undecipherable, open_sealed, seal, unwrap_key, wrap_key

ANNA = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
BOB = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
KEK = bytes(range(32))
DATA_KEY = bytes(range(32, 64))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_sealed_text_opens_as_itself(plaintext: str) -> None:
    """Any text, the empty one too."""
    sealed = seal(DATA_KEY, ANNA, "token", 1, plaintext)

    assert open_sealed(DATA_KEY, ANNA, "token", 1, sealed) == plaintext


def test_a_sealed_text_is_a_nonce_the_ciphertext_and_a_tag() -> None:
    """12 bytes, as many as the text has, 16 bytes."""
    sealed = seal(DATA_KEY, ANNA, "token", 1, "s3cret")

    assert len(sealed) == 12 + 6 + 16
    assert b"s3cret" not in sealed


def test_two_seals_of_one_text_differ() -> None:
    """Equal secrets do not show as equal."""
    first, second = (seal(DATA_KEY, ANNA, "token", 1, "s3cret") for _ in range(2))

    assert first[:12] != second[:12]
    assert first[12:] != second[12:]


@pytest.mark.parametrize(
    ("data_key", "tenant_id", "name", "version"),
    [
        (KEK, ANNA, "token", 1),
        (DATA_KEY, BOB, "token", 1),
        (DATA_KEY, ANNA, "tokens", 1),
        (DATA_KEY, ANNA, "", 1),
        (DATA_KEY, ANNA, "token", 2),
        (DATA_KEY, ANNA, "token|1", 1),
    ],
    ids=["another key", "another tenant", "another name", "no name", "another version", "a name with a bar"],
)
def test_a_secret_that_was_moved_does_not_open(data_key: bytes, tenant_id: UUID, name: str, version: int) -> None:
    """Rows that someone swapped in the database are not taken for each other."""
    sealed = seal(DATA_KEY, ANNA, "token", 1, "s3cret")

    with pytest.raises(Undecipherable):
        open_sealed(data_key, tenant_id, name, version, sealed)


def test_a_bar_in_a_name_does_not_flow_into_the_version() -> None:
    """`a|1` in version 2 is not `a` in version `1|2`: a tenant chooses names."""
    sealed = seal(DATA_KEY, ANNA, "a|1", 2, "s3cret")

    with pytest.raises(Undecipherable):
        open_sealed(DATA_KEY, ANNA, "a", 12, sealed)
    with pytest.raises(Undecipherable):
        open_sealed(DATA_KEY, ANNA, "a|1|2", 2, sealed)


def test_a_secret_with_any_bit_flipped_does_not_open() -> None:
    """Nonce, ciphertext and tag are all covered."""
    sealed = seal(DATA_KEY, ANNA, "token", 1, "s3cret")

    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Undecipherable):
            open_sealed(DATA_KEY, ANNA, "token", 1, bytes(flipped))


def test_a_secret_that_was_cut_or_lengthened_does_not_open() -> None:
    """At any length, also one that leaves no room for the tag."""
    sealed = seal(DATA_KEY, ANNA, "token", 1, "s3cret")

    for other in (*(sealed[:length] for length in range(len(sealed))), sealed + b"\x00"):
        with pytest.raises(Undecipherable):
            open_sealed(DATA_KEY, ANNA, "token", 1, other)


def test_a_wrapped_key_unwraps_for_its_tenant_only() -> None:
    """A tenant's data key is of no use in another tenant's row, nor under another platform key."""
    wrapped = wrap_key(KEK, ANNA, DATA_KEY)

    assert unwrap_key(KEK, ANNA, wrapped) == DATA_KEY
    for kek, tenant_id, stored in ((KEK, BOB, wrapped), (DATA_KEY, ANNA, wrapped), (KEK, ANNA, wrapped[:-1])):
        with pytest.raises(Undecipherable):
            unwrap_key(kek, tenant_id, stored)


def test_a_wrapped_key_is_no_sealed_text() -> None:
    """Even where both were made under one key, neither passes for the other."""
    with pytest.raises(Undecipherable):
        open_sealed(KEK, ANNA, "token", 1, wrap_key(KEK, ANNA, b"s3cret"))
    with pytest.raises(Undecipherable):
        unwrap_key(KEK, ANNA, seal(KEK, ANNA, "token", 1, "s3cret"))


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    """AES-256 and nothing weaker: 32 bytes."""
    with pytest.raises(ValueError, match="32 bytes"):
        seal(bytes(length), ANNA, "token", 1, "s3cret")
