"""Small modules for the registry's tests: valid ones, to be spoilt in one place each."""

from typing import Any, ClassVar

import pytest

from rustok.kernel.errors import Misconfigured
from rustok.kernel.event import Event
from rustok.kernel.module import Command, Input, Module, ModuleKind, Projection, Query, QueryInput, Result
from rustok.kernel.permission import Permission
from rustok.kernel.registry import build_registry


class LampLit(Event):
    """A lamp was lit."""

    type: ClassVar = "lamps.lamp.lit"
    aggregate: ClassVar = "lamp"
    example: ClassVar = {"watts": 7}

    watts: int


class LightLamp(Input):
    example: ClassVar = {"lamp_id": "hall-1"}

    lamp_id: str


class FindLamps(QueryInput):
    example: ClassVar = {"room": "hall"}

    room: str


class Lamp(Result):
    lamp_id: str


async def never(_uow: Any, _data: Any) -> Lamp:
    raise AssertionError("the registry calls no handler")


async def load_nothing(_connection: Any, _keys: Any) -> dict[Any, Any]:
    return {}


def a_command(**changes: Any) -> Command:
    values = {
        "name": "lamps.lamps.light",
        "summary": "Light a lamp",
        "permission": "lamps.lamps.write",
        "input": LightLamp,
        "result": Lamp,
        "handler": never,
        "route": "POST /lamps/{lamp_id}/light",
    }
    return Command(**{**values, **changes})


def a_query(**changes: Any) -> Query:
    values = {
        "name": "lamps.lamps.find",
        "summary": "Find the lamps of a room",
        "permission": "lamps.lamps.read",
        "input": FindLamps,
        "result": Lamp,
        "handler": never,
        "route": "GET /rooms/{room}/lamps",
    }
    return Query(**{**values, **changes})


def a_projection(**changes: Any) -> Projection:
    values = {
        "name": "lamps.index_lamps",
        "summary": "Lamps that shine",
        "subscribes": ("lamps.lamp.*",),
        "table": "index_lamps",
        "load": load_nothing,
        "build": lambda _source: (),
    }
    return Projection(**{**values, **changes})


def lamps(**changes: Any) -> Module:
    """Return a module in which everything adds up, with these fields changed."""
    values: dict[str, Any] = {
        "name": "lamps",
        "kind": ModuleKind.DOMAIN,
        "summary": "Lamps.",
        "permissions": (
            Permission("lamps.lamps.read", "See lamps"),
            Permission("lamps.lamps.write", "Light lamps"),
        ),
        "events": (LampLit,),
        "commands": (a_command(),),
        "queries": (a_query(),),
        "projections": (a_projection(),),
        "tables": ("lamps",),
    }
    return Module(**{**values, **changes})


def a_module(name: str, **changes: Any) -> Module:
    """Return an empty module."""
    return Module(**{"name": name, "kind": ModuleKind.DOMAIN, "summary": name, **changes})


def faults_of(*modules: Module) -> list[str]:
    """Return what the registry says against these modules."""
    with pytest.raises(Misconfigured) as refused:
        build_registry(modules)
    headline, *faults = str(refused.value).split("\n- ")
    assert headline == "The modules do not add up:"
    return faults
