"""Bounds what an operation may ask for: how deep, how many fields at the root, and how many values in all."""

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_introspection_type,
)

from api.consistency import MOST_TOKENS
from api.graphql.connections import EDGES
from api.graphql.errors import DocumentRefused, DocumentTooCostly, DocumentTooDeep, TooManyRootFields
from api.graphql.meter import MOST_VALUES
from api.graphql.plain import PlainField

DEEPEST = 20
"""Levels of selections: fields and fragments alike."""
MOST_ROOT_FIELDS = MOST_TOKENS
"""As many as a reader can name the tokens of, where they are writes."""
_OF_OPERATION = 50
"""Values that a field counts as which runs an operation or leads to another thing: it takes longer than to read one."""
_MOST_TAKEN = {"translations": 50, "bodies": 50, "options": 3, "variants": 100, "prices": 200}
"""How many values a command takes at once for the lists that are no connections."""
_MOST_TAKEN_ELSE = 100
_OF_SCHEMA = 5
"""How many values a list of introspection is taken to have: all of the schema may be asked for in one document."""


class Measured(NamedTuple):
    """`cost` is a number of values, `height` one of levels, `width` one of fields at the first level.

    Fields of a connection count `first` times, those of other lists as often as `length_of_list` says.
    """

    cost: int
    height: int
    width: int


def check_operation(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> int:
    """Return how many root fields *operation* has; those that a directive leaves out count, too.

    Raises:
        DocumentTooDeep, DocumentTooCostly, TooManyRootFields: as they say.
        DocumentRefused: fragments spread each other in a circle.

    """
    root = schema.get_root_type(operation.operation)
    found = _Measure(schema, document, operation, variables).of(operation.selection_set, root)
    if found.width > MOST_ROOT_FIELDS:
        raise TooManyRootFields(f"An operation must have {MOST_ROOT_FIELDS} fields of {root} at most.")
    if found.cost > MOST_VALUES:
        raise DocumentTooCostly(
            f"The answer may have {found.cost:,} values, and {MOST_VALUES:,} at most are allowed: "
            "ask for fewer fields, or a smaller `first`."
        )
    return found.width


def length_of_list(name: str) -> int:
    """Return how many values the field *name*, a list that is no connection, is taken to have.

    That is the square root of the most that a command takes: the mean, in ratios, of one value and of that many. Few
    things have all that they may have, and none can be asked for less of it. What they do have is counted while it is
    read, by a Meter.
    """
    return ceil(sqrt(_MOST_TAKEN.get(name, _MOST_TAKEN_ELSE)))


class _Measure:
    """Adds up the fields of selections. A fragment is measured once, however often it is spread."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> None:
        self._schema = schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._measured: dict[str, Measured | None] = {}
        """None: it is being measured."""
        defaults = {each.variable.name.value: each.default_value for each in operation.variable_definitions or ()}
        self._variables = {**{name: _number(value) for name, value in defaults.items()}, **variables}

    def of(self, selections: SelectionSetNode, parent: GraphQLNamedType | None, level: int = 1) -> Measured:
        cost = height = width = 0
        for node in selections.selections:
            found = self._selection(node, parent, level)
            cost, height, width = cost + found.cost, max(height, found.height), width + found.width
            if level + height > DEEPEST + 1:
                raise DocumentTooDeep(f"Selections must be nested {DEEPEST} levels deep at most.")
        return Measured(cost, height + 1, width)

    def _selection(self, node: Node, parent: GraphQLNamedType | None, level: int) -> Measured:
        if level > DEEPEST:
            raise DocumentTooDeep(f"Selections must be nested {DEEPEST} levels deep at most.")
        if isinstance(node, FieldNode):
            return self._field(node, parent, level)
        if isinstance(node, InlineFragmentNode):
            return self.of(node.selection_set, self._condition(node, parent), level + 1)
        return self._spread(node.name.value, level) if isinstance(node, FragmentSpreadNode) else Measured(0, 0, 0)

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, level: int) -> Measured:
        field = self._schema.get_field(parent, node.name.value) if isinstance(parent, GraphQLObjectType) else None
        if node.selection_set is None:
            return Measured(1, 0, 1)
        below = self.of(node.selection_set, get_named_type(field.type) if field else None, level + 1)
        own = 1 if field is None or isinstance(field, PlainField) or _is_of_schema(field) else _OF_OPERATION
        return Measured(own + self._times(node, field) * below.cost, below.height, 1)

    def _spread(self, name: str, level: int) -> Measured:
        fragment = self._fragments.get(name)
        if fragment is None:
            return Measured(0, 0, 0)  # validation tells
        if name not in self._measured:
            self._measured[name] = None
            self._measured[name] = self.of(fragment.selection_set, self._condition(fragment, None), level + 1)
        found = self._measured[name]
        if found is None:
            raise DocumentRefused(f"The fragment {name[:100]} spreads itself.")
        return found

    def _condition(
        self, node: InlineFragmentNode | FragmentDefinitionNode, parent: GraphQLNamedType | None
    ) -> GraphQLNamedType | None:
        return parent if node.type_condition is None else self._schema.get_type(node.type_condition.name.value)

    def _times(self, node: FieldNode, field: GraphQLField | None) -> int:
        """Return how many values a field is taken to have."""
        if field is None or node.name.value == EDGES:  # which `first` has counted
            return 1
        if "first" in field.args:
            return self._first(node, field)
        if "[" not in str(field.type):
            return 1
        return _OF_SCHEMA if _is_of_schema(field) else length_of_list(node.name.value)

    def _first(self, node: FieldNode, field: GraphQLField) -> int:
        given: Any = next((each.value for each in node.arguments or () if each.name.value == "first"), None)
        number = self._variables.get(given.name.value) if isinstance(given, VariableNode) else _number(given)
        if isinstance(number, float) and number.is_integer():  # which GraphQL takes for a whole number
            number = int(number)
        default = field.args["first"].default
        if not isinstance(number, int):
            number = default.value if default else 1
        return max(1, number)


def _is_of_schema(field: GraphQLField) -> bool:
    return is_introspection_type(get_named_type(field.type))


def _number(value: Node | None) -> int | None:
    return int(value.value) if isinstance(value, IntValueNode) else None
