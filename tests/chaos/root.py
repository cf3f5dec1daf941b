"""Run a root of the platform unchanged, with the witness in its catalogue: `python -m tests.chaos.root MODULE ...`.

CHAOS_DOUBLE_MESSAGES=1 makes it send every message twice.
"""

import os
import runpy
import sys
from collections.abc import Sequence
from typing import Any

from dramatiq import Message

from rustok import catalog
from tests.chaos.witness import WITNESS
from workers import broker

DOUBLE_MESSAGES = "CHAOS_DOUBLE_MESSAGES"


class DoublingBroker(broker.StreamBroker):
    """What a network does that delivers everything, and everything twice."""

    def enqueue_many(self, messages: Sequence[Message[Any]]) -> list[Message[Any]]:
        return super().enqueue_many([*messages, *messages])


def main() -> None:
    catalog.MODULES = (*catalog.MODULES, WITNESS)  # type: ignore[assignment] # a tuple of one more
    if os.environ.get(DOUBLE_MESSAGES):
        broker.StreamBroker = DoublingBroker  # type: ignore[misc] # before the root imports it
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
