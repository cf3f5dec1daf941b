"""Writes what of `rustok.client` is made from the OpenAPI document: `python -m tests.client_code`."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.client_code.hints import Answered, Sent
from tests.client_code.models import models_file
from tests.client_code.modules import modules_files
from tests.integration.api.refresh_openapi import document

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "rustok" / "client"
COMMAND = "python -m tests.client_code"
_NOTICE = f"# Made from the OpenAPI document. Do not edit: `{COMMAND}` writes this file.\n"


def client_files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each file, by its path below `rustok/client`."""
    schemas = document["components"]["schemas"]
    sent, answered = Sent(schemas), Answered(schemas)
    modules = {f"modules/{name}": text for name, text in modules_files(document, sent, answered).items()}
    files = {**modules, "models.py": models_file(schemas, sent, answered)}
    return {name: _formatted(f"{_NOTICE}{text}") for name, text in sorted(files.items())}


def _formatted(code: str) -> str:
    """Return *code* as ruff writes it, imports in its order."""
    ruff = [str(Path(sys.executable).with_name("ruff"))]
    for command in (["check", "--select=I", "--fix", "-q"], ["format", "-q"]):
        finished = subprocess.run(  # noqa: S603 - our own command
            [*ruff, *command, "--stdin-filename=rustok/client/models.py", "-"],
            cwd=ROOT,
            input=code,
            capture_output=True,
            text=True,
            check=True,
        )
        code = finished.stdout
    return code


def main() -> None:
    """Write every file."""
    for name, text in client_files(document()).items():
        file = DIRECTORY / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
