"""Which Python a hook may use. Everything is decided from the text: no guard slows the code down when it runs."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

from RestrictedPython.transformer import INSPECT_ATTRIBUTES, RestrictingNodeTransformer

from rustok.sandbox.language.diagnostic import Diagnostic
from rustok.sandbox.language.facades import MODULES

_CATCH = "Catch `Exception`: what ends a run for its limits must get through."
_NO_REFLECTION = "Hooks cannot look up or change things by name."
_FORBIDDEN_NAMES = {
    **dict.fromkeys(
        ("BaseException", "BaseExceptionGroup", "GeneratorExit", "KeyboardInterrupt", "SystemExit"), _CATCH
    ),
    **dict.fromkeys(("delattr", "dir", "getattr", "hasattr", "locals", "globals", "setattr", "vars"), _NO_REFLECTION),
    **dict.fromkeys(("compile", "eval", "exec"), "Hooks cannot make code while they run."),
    **dict.fromkeys(("breakpoint", "copyright", "credits", "exit", "help", "input", "license", "open", "quit"), None),
    **dict.fromkeys(("hash", "id"), "Their answers differ from run to run. Choose another name for a variable."),
    **dict.fromkeys(("object", "type"), "Ask with `isinstance`, and leave out the base class `object`."),
    "memoryview": "Use `bytes`.",
}
_USE_F_STRING = "Use an f-string: a format text can walk attributes."
_FORBIDDEN_ATTRIBUTES = {
    **dict.fromkeys(INSPECT_ATTRIBUTES | {"f_lasti", "f_lineno", "f_trace_lines", "f_trace_opcodes"}, None),
    **dict.fromkeys(("format", "format_map"), _USE_F_STRING),
    **dict.fromkeys(("mro", "with_traceback"), None),
    **dict.fromkeys(("today", "utcnow", "utcfromtimestamp"), "Use `ctx.now`: a replay must give the same."),
}
_INSIDE_OF_PYTHON = ("ag_", "co_", "cr_", "gi_", "tb_")
_METHODS = frozenset(
    """
    __init__ __str__ __repr__ __bool__ __len__ __iter__ __next__ __contains__ __call__
    __getitem__ __setitem__ __delitem__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__
    __add__ __radd__ __iadd__ __sub__ __rsub__ __isub__ __mul__ __rmul__ __truediv__ __floordiv__ __mod__
    __neg__ __pos__ __abs__ __and__ __or__ __enter__ __exit__ __aiter__ __anext__ __aenter__ __aexit__
    """.split()  # noqa: SIM905 - names, not texts
)
"""Methods that a class may define. Nothing may be looked up by such a name."""
_LINE_END = re.compile(rb"\r\n?|\n")
"""As CPython counts lines: a lone carriage return ends one too."""
_ANY_IMPORT = f"Hooks import from {', '.join(sorted(MODULES))}; the rest comes from `ctx`."


class Policy(RestrictingNodeTransformer):
    """Visits a tree, changes nothing, and keeps what it finds in `diagnostics`.

    A kind of node that has no method here or in the superclass is refused, so new syntax of a later Python is.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self.diagnostics: list[Diagnostic] = []
        self._lines = _LINE_END.split(source.encode())
        self._methods: set[ast.AST] = set()

    def refuse(self, node: ast.AST, message: str, hint: str | None = None) -> None:
        line, offset = getattr(node, "lineno", None), getattr(node, "col_offset", None)
        column = None
        if line is not None and offset is not None:
            column = len(self._lines[line - 1][:offset].decode(errors="replace")) + 1
        self.diagnostics.append(Diagnostic("forbidden_syntax", message, line, column, hint))

    def error(self, node: ast.AST, info: str) -> None:
        """Take over what the superclass finds."""
        self.refuse(node, info)

    def not_allowed(self, node: ast.AST) -> None:
        self.refuse(node, f"{type(node).__name__} is not part of the language of hooks.")

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:  # noqa: ARG002
        if name is None or name == "_":
            return
        if name.startswith("_"):
            self.refuse(node, f"The name {name} begins with an underscore.", "Choose a name without it.")
        elif name in _FORBIDDEN_NAMES:
            self.refuse(node, f"The name {name} is not part of the language of hooks.", _FORBIDDEN_NAMES[name])

    def check_attribute(self, node: ast.AST, name: str) -> None:
        if name.startswith("_"):
            self.refuse(node, f"The attribute {name} begins with an underscore.", "Use what is public.")
        elif name in _FORBIDDEN_ATTRIBUTES or name.startswith(_INSIDE_OF_PYTHON):
            message = f"The attribute {name} is not part of the language of hooks."
            self.refuse(node, message, _FORBIDDEN_ATTRIBUTES.get(name))

    def visit_plain(self, node: Any) -> Any:
        """Allow the node; what it holds is visited."""
        return self.node_contents_visit(node)

    # The superclass puts guards around these, which cost a factor of 2.5 to 3.
    visit_Assign = visit_AugAssign = visit_Subscript = visit_Starred = visit_plain
    visit_For = visit_comprehension = visit_With = visit_Call = visit_Module = visit_plain
    # The superclass refuses these; no rule of ours needs that.
    visit_AnnAssign = visit_Await = visit_AsyncFor = visit_AsyncWith = visit_Constant = visit_plain
    visit_Match = visit_match_case = visit_MatchValue = visit_MatchSingleton = visit_plain
    visit_MatchSequence = visit_MatchOr = visit_plain

    def visit_Name(self, node: ast.Name) -> Any:
        self.check_name(node, node.id)
        return self.node_contents_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        self.check_attribute(node, node.attr)
        return self.node_contents_visit(node)

    def visit_keyword(self, node: ast.keyword) -> Any:
        if node.arg is not None and node.arg.startswith("_"):
            self.check_name(node, node.arg)
        return self.node_contents_visit(node)

    def visit_arg(self, node: ast.arg) -> Any:
        self.check_name(node, node.arg)
        return self.node_contents_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return self.node_contents_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Any:
        if not (node in self._methods and node.name in _METHODS):
            self.check_name(node, node.name)
        return self.node_contents_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        self.check_name(node, node.name)
        if node.keywords:
            self.refuse(node, "A class takes base classes only.", "Leave out `metaclass=` and other keywords.")
        self._methods.update(node.body)
        return self.node_contents_visit(node)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> Any:
        for name in node.names:
            self.check_name(node, name)
        return node

    visit_Nonlocal = visit_Global

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        if node.type is None:
            self.refuse(node, "`except:` without a type catches everything.", _CATCH)
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    def visit_TryStar(self, node: ast.AST) -> Any:
        self.refuse(node, "`except*` is not part of the language of hooks.", "Use `except`.")
        return node

    def visit_Try(self, node: ast.Try) -> Any:
        for leaving in _leaving(node.finalbody):
            what = type(leaving).__name__.lower()
            self.refuse(leaving, f"`{what}` in `finally` would swallow the error.", "Put it after the `try` statement.")
        return self.node_contents_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> Any:
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> Any:
        self.check_name(node, node.rest)
        return self.node_contents_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        for attribute in node.kwd_attrs:
            self.check_attribute(node, attribute)
        return self.node_contents_visit(node)

    def visit_Import(self, node: ast.Import) -> Any:
        for alias in node.names:
            if alias.name not in MODULES:
                self.refuse(node, f"{alias.name} cannot be imported.", _ANY_IMPORT)
            self.check_name(node, alias.asname)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        module = "." * node.level + (node.module or "")
        if module not in MODULES:
            self.refuse(node, f"{module} cannot be imported.", _ANY_IMPORT)
            return node
        for alias in node.names:
            if alias.name not in MODULES[module]:
                known = f"{module} has {', '.join(sorted(MODULES[module]))}."
                self.refuse(node, f"{alias.name} cannot be imported from {module}.", known)
            self.check_name(node, alias.asname)
            if alias.asname is None and alias.name in _FORBIDDEN_NAMES:
                self.refuse(node, f"The name {alias.name} is taken.", f"Write `import {module}`, or `as` another name.")
        return node


def _leaving(statements: Iterable[ast.AST], *, in_loop: bool = False) -> Iterator[ast.AST]:
    """Yield what would leave *statements*: `return`, and a `break` or `continue` of a loop around them."""
    for node in statements:
        if isinstance(node, ast.Return) or (isinstance(node, ast.Break | ast.Continue) and not in_loop):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            is_loop = isinstance(node, ast.For | ast.AsyncFor | ast.While)
            yield from _leaving(ast.iter_child_nodes(node), in_loop=in_loop or is_loop)
