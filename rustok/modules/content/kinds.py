"""Kinds of nodes: which belong to a wrapper, and the face of content that a wrapper gets.

Content's own commands and queries do not see nodes of a wrapper's kind at all: with `content.nodes.read` or
`.write` nobody gets around `blog.posts.read` or `.write`. Nor does a wrapper see anything but its kinds.
"""

from dataclasses import dataclass

WRAPPED_KINDS = frozenset(
    {"post", "forum_category", "forum_topic", "forum_reply", "page", "block", "menu", "menu_item"}
)
"""Kinds that blog, forum and pages keep for themselves, whether or not these modules are in the build."""


@dataclass(frozen=True, slots=True)
class NodeKind:
    """A wrapper's face of content. Nodes of this kind stand at the root, or below nodes of the kinds `parents`.

    Services take None in its place for content's own face: every kind that is in no wrapper's hands.

    Raises:
        ValueError: the kind is not in WRAPPED_KINDS, so content's own commands would reach its nodes.

    """

    name: str
    parents: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.name not in WRAPPED_KINDS:
            raise ValueError(f"{self.name} is not a wrapper's kind: add it to WRAPPED_KINDS")


def may_be_below(kind: NodeKind | None, parent: str) -> bool:
    """Tell whether nodes seen through the face *kind* may have a parent of the kind *parent*."""
    return parent not in WRAPPED_KINDS if kind is None else parent in kind.parents
