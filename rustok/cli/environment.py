"""The settings of a command line: those of the environment, and those of a running `rustok dev`."""

import os
from pathlib import Path

from rustok.embedded import default_state_dir
from rustok.settings import Settings, load_settings

ENV_FILE = "dev.env"
"""Written by `rustok dev` while it runs, in its state directory, so that other commands find its servers."""


def state_dir() -> Path:
    """Return where `rustok dev` keeps its data: RUSTOK_STATE_DIR, else the XDG state directory."""
    return load_settings().state_dir or default_state_dir(os.environ)


def cli_settings() -> Settings:
    """Return the settings of the environment, which is first completed by those of a running `rustok dev`."""
    file = state_dir() / ENV_FILE
    if file.exists():
        for line in file.read_text().splitlines():
            name, _, value = line.partition("=")
            os.environ.setdefault(name, value)
    return load_settings()
