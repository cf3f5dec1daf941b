"""Turns a source into bytecode, or tells what keeps it from being a hook."""

import __future__

import ast
import warnings
from collections.abc import Iterator

from rustok.sandbox.language.bytecode import pack
from rustok.sandbox.language.diagnostic import Diagnostic
from rustok.sandbox.language.patterns import patterns_of
from rustok.sandbox.language.policy import Policy

LONGEST_SOURCE_BYTES = 64 << 10
_ANNOTATIONS_ARE_TEXT = __future__.annotations.compiler_flag
_MOST_NODES = 20_000
_GREATEST_DEPTH = 60

_HANDLE = "A hook begins with `async def handle(event, ctx):` at the left margin."


def compile_source(source: str) -> bytes | tuple[Diagnostic, ...]:
    """Return the bytecode of a hook, the same for the same source, or every fault in the order of its lines.

    It never raises, whatever the source is. What it costs is bounded by the limits on size, nodes and depth,
    except for parsing, which is CPython's own: a process that serves others gives this to a child.
    """
    if faults := tuple(_size_faults(source)):
        return faults
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what CPython only warns of is no fault
        try:
            tree = ast.parse(source, filename="<hook>")
            if faults := tuple(_shape_faults(tree)):
                return faults
            if faults := _language_faults(tree, source):
                return faults
            code = compile(tree, "<hook>", "exec", flags=_ANNOTATIONS_ARE_TEXT, dont_inherit=True)
            patterns = patterns_of(tree)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return (_unreadable(error),)
    return tuple(_handle_faults(tree)) or pack(code, patterns)


def _size_faults(source: str) -> Iterator[Diagnostic]:
    size = len(source.encode(errors="surrogatepass"))
    if size > LONGEST_SOURCE_BYTES:
        yield _too_large(f"The source has {size} bytes; {LONGEST_SOURCE_BYTES} are allowed.")


def _shape_faults(tree: ast.Module) -> Iterator[Diagnostic]:
    """Walk the tree without recursion: one that is too deep would end the interpreter's own."""
    count, waiting = 0, [(1, child) for child in ast.iter_child_nodes(tree)]
    while waiting:
        depth, node = waiting.pop()
        count += 1
        if depth > _GREATEST_DEPTH:
            yield _too_large(f"The source nests deeper than {_GREATEST_DEPTH} levels.", getattr(node, "lineno", None))
            return
        waiting += [(depth + 1, child) for child in ast.iter_child_nodes(node)]
    if count > _MOST_NODES:
        yield _too_large(f"The source has {count} syntax nodes; {_MOST_NODES} are allowed.")


def _language_faults(tree: ast.Module, source: str) -> tuple[Diagnostic, ...]:
    policy = Policy(source)
    policy.visit(tree)
    return tuple(sorted(policy.diagnostics, key=lambda fault: (fault.line or 0, fault.column or 0)))


def _handle_faults(tree: ast.Module) -> Iterator[Diagnostic]:
    found = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == "handle"
    ]
    if not found:
        yield Diagnostic("forbidden_syntax", "There is no function `handle`.", hint=_HANDLE)
        return
    last = found[-1]
    if not isinstance(last, ast.AsyncFunctionDef) or not _takes_two(last.args):
        message = "`handle` is not an async function of two arguments."
        yield Diagnostic("forbidden_syntax", message, last.lineno, last.col_offset + 1, _HANDLE)


def _takes_two(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    needs_keywords = any(default is None for default in arguments.kw_defaults)
    least = positional - len(arguments.defaults)
    return not needs_keywords and least <= 2 and (positional >= 2 or arguments.vararg is not None)  # noqa: PLR2004


def _unreadable(error: Exception) -> Diagnostic:
    """Return CPython's own refusal as ours."""
    if isinstance(error, SyntaxError):
        return Diagnostic("syntax_error", error.msg, error.lineno, error.offset)
    if isinstance(error, RecursionError | MemoryError):
        return _too_large("The source nests too deeply to be read.")
    return Diagnostic("syntax_error", "The source holds characters that no Python source may hold.")


def _too_large(message: str, line: int | None = None) -> Diagnostic:
    return Diagnostic("source_too_large", message, line, hint="Split the work over several hooks.")
