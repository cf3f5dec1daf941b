"""A worker listens to the queues whose jobs it can do, and to further ones as soon as it can do theirs."""

from dataclasses import fields
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rustok.modules.alloy import CALL, CHECK, RUN
from rustok.sandbox.contract import Level, Report
from workers.broker import StreamBroker
from workers.main import open_queues
from workers.parts import WorkerParts
from workers.queues import streams

KINDS = (RUN, CHECK, CALL)
NOWHERE = "redis://127.0.0.1:1/0"


class Cage:
    def __init__(self, level: Level) -> None:
        self.report = Report(level=level, layers={})


def parts(cage: Cage) -> WorkerParts:
    """Return a worker of which nothing but its cage is asked."""
    others = {field.name: cast("Any", SimpleNamespace()) for field in fields(WorkerParts) if field.name != "cage"}
    return WorkerParts(cage=cast("Any", cage), **others)


@pytest.mark.parametrize(("level", "queues"), [("none", ["calls"]), ("A", ["calls", "default", "scripts"])])
def test_without_a_cage_no_script_is_taken(level: Level, queues: list[str]) -> None:
    """It could only be handed back, again and again, while another worker might run it."""
    broker = StreamBroker(NOWHERE)

    open_queues(broker, filter(parts(Cage(level)).can_do, KINDS))

    assert set(broker.queues) == set(streams(queues))


def test_a_cage_that_comes_late_opens_its_queues() -> None:
    """Those that are open stay as they are."""
    broker, cage = StreamBroker(NOWHERE), Cage("none")
    worker = parts(cage)
    open_queues(broker, filter(worker.can_do, KINDS))

    cage.report = Report(level="A", layers={})
    open_queues(broker, filter(worker.can_do, KINDS))

    assert set(broker.queues) == set(streams(["calls", "default", "scripts"]))
