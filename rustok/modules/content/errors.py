"""What can go wrong in content."""

from rustok.kernel.errors import Conflict, InvalidInput, NotFound


class NodeNotFound(NotFound):
    """The tenant has no node with this id, or none of the kinds that the caller sees."""

    code = "node_not_found"


class TranslationNotFound(NotFound):
    """The node has no texts in this locale."""

    code = "translation_not_found"


class ParentNotFound(InvalidInput):
    """There is no node with the parent's id, or none that may have such a child."""

    code = "parent_not_found"


class DuplicateSlug(Conflict):
    """Another node of the kind has this slug in this locale."""

    code = "duplicate_slug"


class NodeCycle(Conflict):
    """A node cannot be moved below itself."""

    code = "node_cycle"


class NodeTooDeep(Conflict):
    """A node has at most 100 ancestors."""

    code = "node_too_deep"


class NodeHasChildren(Conflict):
    """A node with children cannot be deleted: delete or move them first."""

    code = "node_has_children"


class NodePublished(Conflict):
    """A published node cannot be deleted: unpublish it first."""

    code = "node_published"


class LastTranslation(Conflict):
    """A node keeps at least one translation."""

    code = "last_translation"
