"""Reads documents, within limits; one that is sent again is parsed and validated once."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationType,
    SelectionSetNode,
    get_operation_ast,
    parse,
    validate,
)

from api.graphql.cost import check_operation
from api.graphql.errors import DocumentMalformed, DocumentRefused, DocumentTooDeep, DocumentTooLong, OperationUnknown
from api.graphql.limits import MOST_CHARACTERS, MOST_TOKENS_READ, check_document
from api.graphql.roots import OPERATION
from rustok.kernel.module import Command, Query

_MOST_KEPT = 200
_LONGEST_KEPT = 4096
"""Characters of a document that is kept."""
_LARGE = 1000
"""Characters of a document that is read on another thread: others have their turn meanwhile."""
_MOST_ERRORS = 10
_SYNTAX_FAULTS = {"more than": DocumentTooLong, "nested too deeply": DocumentTooDeep}
"""How graphql-core words what is not a fault in the grammar."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A document that is valid, and the operation in it that is asked for.

    `operations` are the commands or queries of its root fields, each once; `width` is the number of those fields.
    """

    document: DocumentNode
    operations: tuple[Command | Query, ...]
    width: int


class Documents:
    """Keeps what was read lately. The schema and what is allowed are the same for everybody."""

    def __init__(self, schema: GraphQLSchema, *, allows_introspection: bool) -> None:
        self._schema = schema
        self._allows_introspection = allows_introspection
        self._kept: OrderedDict[str, DocumentNode] = OrderedDict()

    async def read(self, text: str, operation_name: str | None, variables: Mapping[str, Any]) -> Asked:
        """Return what *text* asks for. Raises DocumentRefused, of the kind that says why."""
        if document := self._kept.get(text):
            self._kept.move_to_end(text)
            return self._asked(document, operation_name, variables)
        if len(text) > _LARGE:
            asked = await asyncio.to_thread(self._read_anew, text, operation_name, variables)
        else:
            asked = self._read_anew(text, operation_name, variables)
        if len(text) <= _LONGEST_KEPT:
            self._kept[text] = asked.document
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return asked

    def _read_anew(self, text: str, operation_name: str | None, variables: Mapping[str, Any]) -> Asked:
        document = _parse(text)
        check_document(document, allows_introspection=self._allows_introspection)
        asked = self._asked(document, operation_name, variables)
        suggests = self._allows_introspection
        if errors := validate(self._schema, document, max_errors=_MOST_ERRORS, hide_suggestions=not suggests):
            raise DocumentRefused(errors[0].message, errors)
        return asked

    def _asked(self, document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any]) -> Asked:
        operation = get_operation_ast(document, operation_name)
        if operation is None or operation.operation is OperationType.SUBSCRIPTION:
            raise OperationUnknown("Name one of the document's queries or mutations in operationName.")
        width = check_operation(self._schema, document, operation, variables)
        root = self._schema.get_root_type(operation.operation)
        fields = root.fields if root else {}
        named = dict.fromkeys(_root_names(document, operation.selection_set))
        return Asked(document, tuple(fields[name].extensions[OPERATION] for name in named if name in fields), width)


def _parse(text: str) -> DocumentNode:
    if len(text) > MOST_CHARACTERS:  # the place of each error is looked up by counting lines from the start
        raise DocumentTooLong(f"A document must have {MOST_CHARACTERS:,} characters at most: send values as variables.")
    try:
        return parse(text, max_lexical_tokens=MOST_TOKENS_READ, max_comments=MOST_TOKENS_READ)
    except GraphQLSyntaxError as error:
        kind = next((kind for words, kind in _SYNTAX_FAULTS.items() if words in error.message), DocumentMalformed)
        raise kind(error.message, [error]) from None


def _root_names(document: DocumentNode, selections: SelectionSetNode) -> Iterator[str]:
    """Yield the names of the fields of an operation, whatever fragments they are in; a fragment is looked at once."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    rest = [selections]
    while rest:
        for node in rest.pop().selections:
            if isinstance(node, FieldNode):
                yield node.name.value
            elif isinstance(node, InlineFragmentNode):
                rest.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and (fragment := fragments.pop(node.name.value, None)):
                rest.append(fragment.selection_set)
