"""Patterns of subscriptions, and the shards that keep an aggregate's events in order."""

from collections import Counter
from uuid import UUID

import pytest

from rustok.kernel.event import SHARDS, AggregateKey, matches, shard_of

TENANT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


@pytest.mark.parametrize(
    ("pattern", "event_type", "covered"),
    [
        ("commerce.product.created", "commerce.product.created", True),
        ("commerce.product.created", "commerce.product.created_again", False),
        ("commerce.product.*", "commerce.product.created", True),
        ("commerce.*", "commerce.product.created", True),
        ("commerce.product.*", "commerce.products.created", False),
        ("commerce.product.*", "commerce.product", False),
        ("commerce.product", "commerce.product.created", False),
        ("*", "commerce.product.created", True),
        ("commerce.*.created", "commerce.product.created", False),
    ],
)
def test_a_pattern_is_a_type_or_a_prefix_of_whole_segments(pattern: str, event_type: str, covered: bool) -> None:
    """`commerce.product.*` covers what begins with `commerce.product.`, `*` all; a star elsewhere means nothing."""
    assert matches(pattern, event_type) is covered


@pytest.mark.parametrize(
    ("aggregate", "shard"),
    [
        ("00000000-0000-0000-0000-000000000000", 3),
        ("00000000-0000-0000-0000-000000000001", 5),
        ("01890a5d-ac96-774b-bcce-b302099a8058", 3),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", 12),
    ],
)
def test_the_shard_of_an_aggregate_never_changes(aggregate: str, shard: int) -> None:
    """Checkpoints of installed systems rest on these values: another hash would reorder an aggregate's events."""
    assert shard_of(AggregateKey(TENANT, UUID(aggregate))) == shard


def test_the_same_aggregate_id_of_another_tenant_has_a_shard_of_its_own() -> None:
    """The tenant is part of the key: 01890a5d-… and the nil tenant are told apart."""
    aggregate = UUID("01890a5d-ac96-774b-bcce-b302099a8058")

    assert (shard_of(AggregateKey(TENANT, aggregate)), shard_of(AggregateKey(UUID(int=0), aggregate))) == (3, 13)


def test_aggregates_spread_over_all_shards() -> None:
    """No shard gets twice its share: 16,000 aggregates, 1,000 a shard on the mean."""
    counts = Counter(shard_of(AggregateKey(TENANT, UUID(int=n * 0x9E3779B97F4A7C15))) for n in range(16_000))

    assert len(counts) == SHARDS
    assert max(counts.values()) < 2_000
