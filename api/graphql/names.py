"""Names as a reader of GraphQL expects them, made from what the modules and their routes are called."""

import inspect
import re

from rustok.kernel.module import Command, Query

_WORD = re.compile(r"_([a-z0-9])")
_QUOTED = re.compile(r"`([a-z][a-z0-9_]*)`")
_UNNAMED_ACTIONS = {"list", "get"}


def camel(name: str) -> str:
    """Return `meta_title` as `metaTitle`."""
    return _WORD.sub(lambda match: match[1].upper(), name)


def pascal(name: str) -> str:
    """Return `meta_title` as `MetaTitle`."""
    return camel(f"_{name}")


def singular(noun: str) -> str:
    """Return one of several: `bodies` are each a `body`."""
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    return noun.removesuffix("s")


def doc_of(model: type) -> str | None:
    """Return the docstring that *model* itself has, with fields called as GraphQL calls them."""
    text = model.__dict__.get("__doc__")
    return _QUOTED.sub(lambda match: f"`{camel(match[1])}`", inspect.cleandoc(text)) if text else None


def root_field(operation: Command | Query) -> str:
    """Return what the field of an operation is called, by its route.

    `PUT /products/{product_id}/translations/{locale}` that sets is `setProductTranslation`; `GET /products` that lists
    is `products`, and `GET /products/{product_id}` is `product`.
    """
    method, _, path = (operation.route or "").partition(" ")
    action = operation.name.rpartition(".")[2]
    steps = path.strip("/").split("/")
    nouns = [step.replace("-", "_") for step in steps if not step.startswith("{") and step != action]
    is_whole = method in {"GET", "PUT"} and not path.endswith("}")
    words = [*map(singular, nouns[:-1]), nouns[-1] if is_whole else singular(nouns[-1])]
    return camel("_".join(words if action in _UNNAMED_ACTIONS else [action, *words]))
