"""Pages in HTML: elements whose texts are escaped, in one style, without a script or anything from elsewhere."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from starlette.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark;
        --text: #1d2330; --soft: #59637a; --line: #d9dee8; --back: #fff; --box: #f4f6fa; --link: #1a5fb4 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9f0; --soft: #9aa5bb; --line: #343b4a; --back: #14171e; --box: #1d222c; --link: #8ab8f5 }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 4rem; background: var(--back); color: var(--text);
       font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word }
a { color: var(--link) }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) }
h3 { margin: 0; font-size: 1rem }
h4 { margin: 1rem 0 .25rem; font-size: .875rem; color: var(--soft) }
p { margin: .5rem 0 }
code, pre { font: .875em/1.5 ui-monospace, monospace }
pre { margin: .25rem 0; padding: .75rem; background: var(--box); border-radius: .375rem; overflow-x: auto }
article { margin: 1.5rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem }
article h3 code { font-size: 1rem }
.table { overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-size: .875rem }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
th { color: var(--soft) }
nav ul { columns: 18rem; padding-left: 1.25rem }
.method { display: inline-block; min-width: 4.5em; font-weight: 700 }
.soft { color: var(--soft) }
.warning { font-weight: 700 }
summary { cursor: pointer; color: var(--soft) }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Html(str):
    """HTML; any other text is escaped where it becomes part of some."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str) -> Html:
    """Return an element. An attribute that is a word of Python, such as `class_`, ends in an underscore here."""
    named = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{named}>{join(*children)}</{name}>")


def join(*children: str) -> Html:
    """Return *children* one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def prose(text: str) -> Html:
    """Return *text* with what stands between backticks as code."""
    parts = text.split("`")
    return join(*(element("code", part) if place % 2 else part for place, part in enumerate(parts)))


def table(heads: Sequence[str], rows: Iterable[Html]) -> Html:
    """Return a table of *rows*, which scrolls by itself where it is wider than the screen."""
    head = element("tr", *(element("th", text) for text in heads))
    return element("div", element("table", element("thead", head), element("tbody", *rows)), class_="table")


def row(*cells: str, **attributes: str) -> Html:
    """Return a row of a table."""
    return element("tr", *(element("td", cell) for cell in cells), **attributes)


def page(title: str, *body: str) -> Html:
    """Return the document that shows *body* below its title."""
    head = element(
        "head",
        Html('<meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'),
        element("title", title),
        element("style", Html(_STYLE)),
    )
    document = element("html", head, element("body", element("h1", title), *body), lang="en")
    return Html(f"<!doctype html>\n{document}\n")


def answer(document: Html) -> HTMLResponse:
    """Return the answer with a `page`; its policy lets nothing in but the page's own style."""
    return HTMLResponse(document, headers={"Content-Security-Policy": _POLICY})
