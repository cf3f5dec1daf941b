"""Roles are patterns over the permissions that modules declare; nothing is granted unless a pattern covers it."""

import pytest

from rustok.kernel.permission import expand
from rustok.modules.access.roles import BUILT_IN_ROLES

KNOWN = (
    "commerce.products.read",
    "commerce.products.write",
    "commerce.prices.read",
    "content.nodes.read",
    "content.nodes.write",
)


@pytest.mark.parametrize(
    ("patterns", "granted"),
    [
        pytest.param([], set(), id="no pattern grants nothing"),
        pytest.param(["*"], set(KNOWN), id="a star grants everything"),
        pytest.param(["commerce.products.read"], {"commerce.products.read"}, id="a name grants itself"),
        pytest.param(["commerce.products.delete"], set(), id="an unknown name grants nothing"),
        pytest.param(
            ["commerce.*"],
            {"commerce.products.read", "commerce.products.write", "commerce.prices.read"},
            id="a trailing star covers all segments behind it",
        ),
        pytest.param(
            ["commerce.products.*"],
            {"commerce.products.read", "commerce.products.write"},
            id="a trailing star covers one segment",
        ),
        pytest.param(
            ["commerce.*.read"],
            {"commerce.products.read", "commerce.prices.read"},
            id="a star in the middle covers one segment",
        ),
        pytest.param(
            ["*.*.read"],
            {"commerce.products.read", "commerce.prices.read", "content.nodes.read"},
            id="leading stars cover one segment each",
        ),
        pytest.param(["*.read"], set(), id="a leading star covers one segment and no more"),
        pytest.param(["commerce"], set(), id="a prefix without a star grants nothing"),
        pytest.param(["commerce.products"], set(), id="a longer prefix without a star grants nothing"),
        pytest.param(["comm*"], set(), id="a star covers whole segments only"),
        pytest.param(["commerce.products.read.*"], set(), id="a longer pattern than the name grants nothing"),
        pytest.param([""], set(), id="an empty pattern grants nothing"),
        pytest.param(
            ["content.*", "commerce.prices.read"],
            {"content.nodes.read", "content.nodes.write", "commerce.prices.read"},
            id="patterns add up",
        ),
    ],
)
def test_patterns_grant_what_they_cover(patterns: list[str], granted: set[str]) -> None:
    """A pattern is a name, `*`, or a name whose trailing or middle segments are `*`."""
    assert expand(patterns, KNOWN) == granted


def test_a_later_built_in_role_has_a_dot_in_its_name() -> None:
    """Those of tenants have none: a release never gives the holders of a tenant's own role what a new one allows."""
    without = {role for role in BUILT_IN_ROLES if "." not in role}

    assert without == {"owner", "admin", "manager", "editor", "customer", "visitor"}
