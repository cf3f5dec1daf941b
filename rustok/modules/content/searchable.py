"""What of a body is searched: its words without markup, in time that is linear in its length.

Not `html.parser`: 50 KB of `<a <a <a` keep it busy for half a minute, and on `<![` it raises.
"""

import re
from html import unescape

import orjson

LIMIT_BYTES = 200_000
"""A text-search vector holds a megabyte; unique words with hyphens take more than three times their text in it."""

# Possessive, so that a `<` that nothing closes is given up at once.
_TAG = re.compile(r"<(?P<name>/?[a-z][a-z0-9]*+|[!?])[^<>]*+>", re.IGNORECASE)
_NO_CHARACTER = re.compile(r"&#[0-9]{8,}+;?")  # `unescape` raises on numbers of more than 4,300 digits
_HIDDEN = frozenset({"script", "style"})


def searchable(body: str, body_format: str) -> str:
    """Return the words of *body*, at most LIMIT_BYTES of them."""
    if body_format == "html":
        body = text_of_html(body)
    elif body_format == "json":
        body = text_of_json(body)
    return body.encode()[:LIMIT_BYTES].decode(errors="ignore")


def text_of_html(markup: str) -> str:
    """Return the text between the tags, without scripts and styles."""
    texts: list[str] = []
    hidden: str | None = None
    end = 0
    for tag in _TAG.finditer(markup):
        if hidden is None:
            texts.append(markup[end : tag.start()])
        name = tag["name"].lower()
        if hidden is None and name in _HIDDEN:
            hidden = name
        elif name == f"/{hidden}":
            hidden = None
        end = tag.end()
    if hidden is None:
        texts.append(markup[end:])
    return unescape(_NO_CHARACTER.sub(" ", " ".join(texts)))


def text_of_json(document: str) -> str:
    """Return the strings in a JSON document, without the names of its members."""
    texts: list[str] = []
    waiting = [orjson.loads(document)]
    while waiting:  # not recursive: a document may be deeper than the stack
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value.replace("\0", " "))  # which PostgreSQL does not store
        elif isinstance(value, list):
            waiting.extend(reversed(value))
        elif isinstance(value, dict):
            waiting.extend(reversed(value.values()))
    return " ".join(texts)
