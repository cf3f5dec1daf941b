"""Bounds what a document may hold, before any of it is looked up in the schema.

What is counted here takes time in proportion to the document; validating it takes more than that.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NameNode,
    Node,
    ObjectValueNode,
    SelectionSetNode,
)

from api.graphql.errors import (
    DocumentMalformed,
    DocumentRefused,
    DocumentTooDeep,
    DocumentTooLong,
    IntrospectionOff,
    TooManyAliases,
    TooManyDirectives,
    TooManyFragments,
)

MOST_CHARACTERS = 20_000
MOST_TOKENS_READ = 1500
LONGEST_NAME = 100
MOST_ALIASES = 30
MOST_FRAGMENTS = 40
MOST_DIRECTIVES = 20

_BOUNDS: Mapping[type[DocumentRefused], tuple[int, str]] = {
    TooManyAliases: (MOST_ALIASES, "aliases and repeated fields"),
    TooManyFragments: (MOST_FRAGMENTS, "uses of fragments"),
    TooManyDirectives: (MOST_DIRECTIVES, "directives"),
}
_DEEPEST_VALUE = 32
_LONGEST_NUMBER = 30
_INTROSPECTION = {"__schema", "__type"}


def check_document(document: DocumentNode, *, allows_introspection: bool) -> None:
    """Check what does not depend on the operation or its variables.

    Raises:
        DocumentRefused: of the kind that says why.

    """
    counts = Counter[type[DocumentRefused]]()
    for node, depth in _nodes(document):
        _check_node(node, depth, allows_introspection=allows_introspection)
        counts.update(_counted(node))
    for kind, (most, what) in _BOUNDS.items():
        if counts[kind] > most:
            raise kind(f"A document must have {most} {what} at most.")


def _check_node(node: Node, depth: int, *, allows_introspection: bool) -> None:
    if isinstance(node, FieldNode) and node.name.value in _INTROSPECTION and not allows_introspection:
        raise IntrospectionOff("The schema is not told here: it comes with the platform's sources.")
    if isinstance(node, IntValueNode | FloatValueNode) and len(node.value) > _LONGEST_NUMBER:
        raise DocumentMalformed(f"A number must have {_LONGEST_NUMBER} digits at most.")
    if isinstance(node, NameNode) and len(node.value) > LONGEST_NAME:  # an alias is told with every item of a list
        raise DocumentTooLong(f"A name must have {LONGEST_NAME} characters at most.")
    if depth > _DEEPEST_VALUE:
        raise DocumentTooDeep(f"Values must be nested {_DEEPEST_VALUE} levels deep at most.")


def _counted(node: Node) -> Mapping[type[DocumentRefused], int]:
    if isinstance(node, FieldNode):
        return {TooManyAliases: node.alias is not None}
    if isinstance(node, SelectionSetNode):
        return {TooManyAliases: _repeated(node)}
    if isinstance(node, FragmentSpreadNode | InlineFragmentNode):
        return {TooManyFragments: 1}
    return {TooManyDirectives: 1} if isinstance(node, DirectiveNode) else {}


def _repeated(selections: SelectionSetNode) -> int:
    """Return how many fields have the name of an earlier one: validation compares each with each."""
    names = [(node.alias or node.name).value for node in selections.selections if isinstance(node, FieldNode)]
    return len(names) - len(set(names))


def _nodes(document: DocumentNode) -> Iterator[tuple[Node, int]]:
    """Yield every node, with the number of lists and objects that it is inside of, as a value."""
    rest: list[tuple[Node, int]] = [(document, 0)]
    while rest:
        node, depth = rest.pop()
        yield node, depth
        inside = depth + isinstance(node, ListValueNode | ObjectValueNode)
        for key in node.keys:
            value = getattr(node, key, None)
            if isinstance(value, Node):
                rest.append((value, inside))
            elif isinstance(value, tuple | list):
                rest.extend((each, inside) for each in value if isinstance(each, Node))
