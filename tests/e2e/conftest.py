"""A real `rustok dev`: its own servers, the API, a relay and workers, as a newcomer starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rustok.embedded import dies_with_us, temporary_state_dir

STOP_S = 15
"""Seconds in which Ctrl-C ends the platform: 10 s of the processes, and the servers."""

_READY = "RusToK is running."
_DRAINED = "Ctrl-C stops everything"


@dataclass(frozen=True, slots=True)
class RunningPlatform:
    """A `rustok dev` that is ready. `env` has what a shell beside it wants, RUSTOK_URL and RUSTOK_TOKEN among it."""

    url: str
    token: str
    state_dir: Path
    env: Mapping[str, str]
    process: subprocess.Popen[str]
    said: str
    """What `rustok dev` has printed."""


@pytest.fixture(scope="session")
def platform() -> Iterator[RunningPlatform]:
    """One platform for every test that does not stop it."""
    with running_platform() as running:
        yield running


@contextmanager
def running_platform() -> Iterator[RunningPlatform]:
    """Start `rustok dev` on a state directory and a port of its own; stop it, if nobody has, on leaving."""
    with temporary_state_dir(in_memory=True) as state_dir, (state_dir / "dev.log").open("w+") as log:
        environment = {**plain_environment(), "RUSTOK_STATE_DIR": str(state_dir), "RUSTOK_API_PORT": str(_free_port())}
        command = dies_with_us([str(rustok_command()), "dev"], signal.SIGINT)
        process = subprocess.Popen(  # noqa: S603 - the command is ours, no shell
            command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        with process:
            try:
                said = _until_ready(process)
                if said is None:
                    pytest.fail(f"rustok dev ended with {process.wait()}:\n{Path(log.name).read_text()}")
                yield _describe(process, state_dir, said)
            finally:
                stop(process)


def plain_environment() -> dict[str, str]:
    """Return this process' environment without settings of the platform."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RUSTOK_")}


def rustok_command() -> Path:
    """Return the `rustok` that belongs to the interpreter of the tests."""
    return Path(sys.executable).with_name("rustok")


def stop(process: subprocess.Popen[str]) -> int:
    """Press Ctrl-C and return the exit status; what takes too long is killed."""
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _until_ready(process: subprocess.Popen[str]) -> str | None:
    """Return what it says until it has said how to go on; None when it ended before."""
    said = ""
    while _READY not in said or _DRAINED not in said:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            return None
        said += line
    return said


def _describe(process: subprocess.Popen[str], state_dir: Path, said: str) -> RunningPlatform:
    settings = dict(line.split("=", 1) for line in (state_dir / "dev.env").read_text().splitlines())
    url = f"http://127.0.0.1:{settings['RUSTOK_API_PORT']}"
    token = json.loads((state_dir / "dev.json").read_text())["demo_token"]
    env = {**settings, "RUSTOK_STATE_DIR": str(state_dir), "RUSTOK_URL": url, "RUSTOK_TOKEN": token}
    return RunningPlatform(url, token, state_dir, env, process, said)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
