"""The gallery of hooks as data, and two hosts: one answers as recorded, one as things stand after a run."""

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rustok.kernel.module import Command, Query
from rustok.kernel.registry import Registry, placeholders
from rustok.modules.alloy.schemas import CreateScript
from rustok.sandbox.contract import HostCallRefused

ROOT = Path(__file__).parents[3] / "scripts"

Effect = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hook:
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def source(self) -> str:
        return (self.folder / "hook.py").read_text()

    @property
    def manifest(self) -> CreateScript:
        return CreateScript.model_validate_json((self.folder / "script.json").read_text())

    @property
    def cases(self) -> "list[Case]":
        return [_case(self, folder) for folder in sorted(self.folder.glob("cases/*"))]


@dataclass(frozen=True, slots=True)
class Case:
    """One run: the event, what the host answers, in this order, and what comes of it."""

    hook: Hook
    name: str
    event: dict[str, Any]
    answers: list[dict[str, Any]]
    expected: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.hook.name}/{self.name}"

    def questions(self, registry: Registry) -> Iterator[tuple[dict[str, Any], Query, dict[str, Any]]]:
        """Yield each answer to a query, with the query and its arguments."""
        for answer in self.answers:
            arguments = answer["arguments"]
            match answer["call"]:
                case "get":
                    query = registry.queries[f"{arguments['kind']}.get"]
                    yield answer, query, {placeholders(query.route)[0]: arguments["id"], **arguments["arguments"]}
                case "query":
                    yield answer, registry.queries[arguments["name"]], arguments["arguments"]
                case "search":
                    yield answer, registry.queries[f"index.{arguments['kind']}.search"], arguments["arguments"]

    def effects(self, kind: str) -> list[Effect]:
        return [effect for effect in self.expected["effects"] if effect["effect"] == kind]

    def commands(self, registry: Registry) -> Iterator[tuple[Command, dict[str, Any]]]:
        """Yield each command that the effects name, with its input."""
        for effect in writes(self.expected["effects"]):
            if effect["effect"] == "command":
                yield registry.commands[effect["name"]], effect["input"]
                continue
            command = registry.commands[f"{effect['kind']}.{effect['effect']}"]
            target = {placeholders(command.route or "")[0]: effect["id"]} if "id" in effect else {}
            yield command, {**target, **effect.get("changes", effect.get("fields", {}))}


def hooks() -> list[Hook]:
    return [Hook(script.parent) for script in sorted(ROOT.glob("*/hook.py"))]


def cases() -> list[Case]:
    return [case for hook in hooks() for case in hook.cases]


def writes(effects: Iterable[Effect]) -> list[Effect]:
    """Return the effects that change rows: their events may start the hook again."""
    return [effect for effect in effects if effect["effect"] in {"command", "create", "update", "delete"}]


class RecordedHost:
    """Answers in the recorded order, whatever is asked, and keeps what was."""

    def __init__(self, answers: Iterable[Mapping[str, Any]]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answers = iter(answers)

    async def __call__(self, name: str, arguments: Mapping[str, Any]) -> Any:
        self.asked.append({"call": name, "arguments": dict(arguments)})
        answer = next(self._answers, {"error": {"code": "not_recorded", "message": f"nothing is recorded for {name}"}})
        if "error" in answer:
            raise HostCallRefused(answer["error"]["code"], answer["error"]["message"])
        return answer["value"]


class SettledHost:
    """Answers as a platform would after the run of a case: it has applied the effects to what was read."""

    def __init__(self, case: Case) -> None:
        recorded = deepcopy(case.answers)
        self._rows = {a["arguments"]["id"]: a["value"] for a in recorded if a["call"] == "get"}
        self._kept = {a["arguments"]["key"]: a["value"] for a in recorded if a["call"] == "kv.get"}
        for effect in case.expected["effects"]:
            self._apply(effect)

    async def __call__(self, name: str, arguments: Mapping[str, Any]) -> Any:
        match name:
            case "get":
                return self._rows[arguments["id"]]
            case "kv.get":
                return self._kept.get(arguments["key"])
        raise HostCallRefused("not_recorded", f"nothing is recorded for {name}")

    def _apply(self, effect: Effect) -> None:
        match effect:
            case {"effect": "kv.set", "key": key, "value": value}:
                self._kept[key] = value
            case {"effect": "kv.delete", "key": key}:
                self._kept.pop(key, None)
            case {"effect": "update", "id": row_id, "changes": changes}:
                self._rows[row_id].update(changes)
            case {"effect": "command", "name": name, "input": data}:
                self._run(name, dict(data))

    def _run(self, name: str, data: dict[str, Any]) -> None:
        """Do what the command does, of those that hooks of the gallery use."""
        row = self._rows[data.pop("product_id", None) or data.pop("post_id")]
        variant_id = data.pop("variant_id", None)
        variant: dict[str, Any] = next((v for v in row.get("variants", ()) if v["id"] == variant_id), {})
        match name:
            case "commerce.prices.set":
                variant["prices"][data.pop("currency")] = data
            case "commerce.translations.set":
                row["translations"][data.pop("locale")] = data
            case "commerce.variants.update":
                variant.update(data)
            case "commerce.products.unpublish" | "blog.posts.unpublish":
                row["status"] = "draft"
            case _:
                raise NotImplementedError(name)


def _case(hook: Hook, folder: Path) -> Case:
    event, answers, expected = (json.loads((folder / f"{name}.json").read_text()) for name in _FILES)
    return Case(hook, folder.name, event, answers, expected)


_FILES = ("event", "answers", "expected")
