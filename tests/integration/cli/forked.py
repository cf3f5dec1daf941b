"""Runs `rustok` again and again, in forks of a process that has imported all of it: that saves a second of CPU a call.

Each line of standard input is a call as JSON; its answer is a line with the exit code.
"""

import gc
import importlib
import json
import os
import pkgutil
import sys
from typing import TypedDict

from rustok import cli


class Call(TypedDict):
    """`streams`: the files that are standard input, output and error."""

    arguments: list[str]
    environment: dict[str, str]
    directory: str
    streams: list[str]


def serve() -> None:
    for module in pkgutil.iter_modules(cli.__path__, "rustok.cli."):
        importlib.import_module(module.name)
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def _run(call: Call) -> None:
    """Be what a shell would have started, and end."""
    for descriptor, file in enumerate(call["streams"]):
        os.dup2(os.open(file, os.O_RDWR), descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the old one has read ahead
    os.environ.clear()
    os.environ.update(call["environment"])
    os.chdir(call["directory"])
    sys.argv = ["rustok", *call["arguments"]]
    try:
        cli.main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))  # to take all modules down would cost more than most commands


if __name__ == "__main__":
    serve()
