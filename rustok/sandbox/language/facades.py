"""What `import` gives a hook: frozen namespaces of chosen names, never a module."""

import collections
import datetime as dt
import decimal
import hashlib
import itertools
import json
import math
import random
import re
import textwrap
import typing
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

# These import a module when they are first called, and a child can open nothing by then.
dt.datetime.strptime("2000", "%Y").replace(tzinfo=dt.UTC)
collections.Counter().most_common(1)


class Namespace:
    """Named values that cannot be replaced."""

    __slots__ = ("__dict__",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name} cannot be changed")


class HookDatetime(dt.datetime):
    """A datetime that does not know the present: a replay must give the same."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> NoReturn:  # noqa: ARG003
        raise RuntimeError("use ctx.now")


def dumps(
    value: Any,
    *,
    indent: int | None = None,
    sort_keys: bool = False,
    ensure_ascii: bool = True,
    default: Callable[[Any], Any] | None = None,
) -> str:
    return json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=ensure_ascii, default=default)


def loads(text: str | bytes) -> Any:
    return json.loads(text)


def chosen(module: object, names: str) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names.split()}


MODULES: dict[str, dict[str, Any]] = {
    "math": {name: value for name, value in vars(math).items() if not name.startswith("_")},
    "json": {"dumps": dumps, "loads": loads, "JSONDecodeError": json.JSONDecodeError},
    "datetime": {**chosen(dt, "date time timedelta timezone UTC"), "datetime": HookDatetime},
    "decimal": chosen(
        decimal,
        "Decimal InvalidOperation DivisionByZero ROUND_HALF_UP ROUND_HALF_EVEN ROUND_DOWN ROUND_UP ROUND_FLOOR "
        "ROUND_CEILING ROUND_HALF_DOWN",
    ),
    "re": chosen(re, "compile match fullmatch search findall finditer split sub subn escape I M S X A")
    | chosen(re, "IGNORECASE MULTILINE DOTALL VERBOSE ASCII error"),
    "hashlib": chosen(hashlib, "md5 sha1 sha224 sha256 sha384 sha512 blake2b blake2s sha3_256 sha3_512"),
    "random": dict.fromkeys("random randint randrange choice choices sample shuffle uniform gauss".split()),  # noqa: SIM905
    "textwrap": chosen(textwrap, "dedent fill indent shorten wrap"),
    "itertools": chosen(
        itertools,
        "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse "
        "groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest",
    ),
    "collections": chosen(collections, "Counter OrderedDict defaultdict deque"),
    "alloy": {"Context": typing.Any, "Event": typing.Any},
    "typing": chosen(typing, "Any Optional Union Callable Iterable Iterator Literal"),
}


def seeded(generator: random.Random) -> Namespace:
    """The `random` of one run."""
    return Namespace({name: getattr(generator, name) for name in MODULES["random"]})


def importer(chance: Namespace) -> Callable[..., Namespace]:
    """Give what stands behind a hook's `import`.

    `strftime` asks it for `time`: C code imports with what its caller has, wants to know only that it did not fail,
    and then takes the loaded module itself.
    """

    def import_facade(name: str, *_: object) -> Namespace:
        if name == "random":
            return chance
        if name not in _SPACES:
            raise ImportError(f"{name} cannot be imported")
        return _SPACES[name]

    return import_facade


_SPACES = {"time": Namespace({}), **{name: Namespace(values) for name, values in MODULES.items()}}
