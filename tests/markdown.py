"""Tables in Markdown, and the texts that fill them, out of the code."""

import ast
from collections.abc import Iterable, Sequence
from itertools import zip_longest


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def class_in(source: str, name: str) -> ast.ClassDef:
    """Return the class of this name at the top of *source*."""
    found = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name]
    return found[0]


def attribute_docstrings(definition: ast.ClassDef) -> dict[str, str]:
    """Return the text below each annotated field of a class, nothing where there is none."""
    found = {}
    for field, below in zip_longest(definition.body, definition.body[1:]):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            found[field.target.id] = _text(below)
    return found


def _text(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return " ".join(str(node.value.value).split())
    return ""
