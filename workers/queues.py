"""The queues and what a message on them says: which consumer should look, and nothing else."""

from typing import Any

from dramatiq import Message

CONSUME = "consume"

PREFETCH = {CONSUME: 8}
"""Messages a process takes at a time: few, since one may be seconds of work and other processes may be idle."""

CAPS = {CONSUME: 10_000}
"""While no worker runs, hints would pile up for ever: the relay's sweep repeats those that still hold."""


def consume_message(consumer: str) -> Message[Any]:
    """Return the wake-up of one consumer."""
    return Message(queue_name=CONSUME, actor_name=CONSUME, args=(consumer,), kwargs={}, options={})
