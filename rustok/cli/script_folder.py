"""A hook at its author's desk: a folder with `hook.py`, `script.json` and cases, which are its tests."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rustok.cli.supervisor import roots_directory
from rustok.dispatch import validate
from rustok.kernel.errors import InvalidInput
from rustok.kernel.strict_json import MalformedJson, parse, parse_object
from rustok.modules.alloy.schemas import CreateScript

HOOKS = Path("scripts")
"""Where a checkout keeps its hooks."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run: the event, what is asked and answered in this order, and what comes of it where that is written down."""

    path: Path
    event: dict[str, Any]
    answers: Sequence[dict[str, Any]]
    expected: dict[str, Any] | None

    @property
    def name(self) -> str:
        return self.path.name

    def expect(self, found: dict[str, Any]) -> None:
        """Write down what the hook did as what it shall do."""
        write_json(self.path / "expected.json", found)


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def hook(self) -> Path:
        return self.path / "hook.py"

    def manifest(self) -> CreateScript:
        """Return what `script.json` says.

        Raises:
            RustokError: it cannot be read, or is no manifest; `violations` name each fault.

        """
        return validate(CreateScript, parse_object(_bytes(self.path / "script.json")))

    def cases(self, name: str | None = None) -> list[Case]:
        """Return the cases by name, or the one with this name.

        Raises:
            InvalidInput: there is no such case, or a file of one cannot be read.

        """
        folders = sorted(path.parent for path in self.path.glob("cases/*/event.json"))
        if name is not None and name not in {folder.name for folder in folders}:
            known = ", ".join(folder.name for folder in folders) or "none"
            raise InvalidInput(f"{self.path} has no case {name}: there are {known}.")
        return [_case(folder) for folder in folders if name in (None, folder.name)]


def find_folder(reference: str, places: Sequence[Path] = (HOOKS,)) -> Folder:
    """Return the folder at a path, or the one of this name in one of *places*.

    Raises:
        InvalidInput: no folder with a `hook.py` is there.

    """
    for path in (Path(reference), *(place / reference for place in places)):
        if (path / "hook.py").is_file():
            return Folder(path)
    looked = ", ".join(str(place / reference) for place in places)
    raise InvalidInput(f"There is no hook.py in {reference} or {looked}: `rustok scripts new` makes a folder.")


def gallery() -> Path:
    """Return where the hooks are that come with the platform."""
    return roots_directory() / HOOKS


def write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _case(folder: Path) -> Case:
    answers = _list(folder / "answers.json") if (folder / "answers.json").exists() else []
    expected = folder / "expected.json"
    return Case(
        path=folder,
        event=_object(folder / "event.json"),
        answers=answers,
        expected=_object(expected) if expected.exists() else None,
    )


def _object(file: Path) -> dict[str, Any]:
    value = _value(file)
    if not isinstance(value, dict):
        raise InvalidInput(f"{file} must hold a JSON object.")
    return value


def _list(file: Path) -> list[dict[str, Any]]:
    value = _value(file)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidInput(f"{file} must hold a JSON list of objects.")
    return value


def _value(file: Path) -> Any:
    raw = _bytes(file)
    try:
        return parse(raw)
    except InvalidInput as error:
        raise InvalidInput(f"{file} holds what no hook is given: {error}", error.violations) from error
    except MalformedJson as error:
        raise InvalidInput(f"{file} is not JSON: {error}") from error


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
