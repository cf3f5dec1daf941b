"""`rustok scripts test`: runs a hook's cases in the cage, on recorded answers, and compares what comes of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from rustok.cli.output import err, print_rows, to_json
from rustok.cli.script_cage import compile_file, open_cage
from rustok.cli.script_folder import Case, Folder, find_folder
from rustok.cli.script_show import (
    effect_lines,
    error_lines,
    json_diff,
    log_lines,
    print_diff,
    print_parts,
    usage_line,
)
from rustok.cli.script_source import print_faults
from rustok.cli.tenant import Json
from rustok.kernel.errors import InvalidInput
from rustok.modules.alloy import RunLimits
from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import HostCallRefused, Job, Outcome

app = typer.Typer()


@app.command("test")
def run_cases(
    folders: Annotated[list[str], typer.Argument(metavar="FOLDER...", help="Folders of hooks, or names in scripts/.")],
    case: Annotated[str | None, typer.Option("--case", help="Only the case with this name.")] = None,
    *,
    update: Annotated[bool, typer.Option("--update", help="Write down what came of each case as expected.")] = False,
    as_json: Json = False,
) -> None:
    """Run each case of a hook in the cage and compare; exit code 1 when one differs. Nothing is applied."""
    found = asyncio.run(_test([find_folder(folder) for folder in folders], case, update=update, as_json=as_json))
    if as_json:
        print_rows([_row(tried) for tried in found], (), as_json=True)
    failed = sum(not tried.passed for tried in found)
    err.print(f"{len(found) - failed} of {len(found)} cases passed", highlight=False)
    raise typer.Exit(1 if failed else 0)


@dataclass(frozen=True, slots=True)
class _Tried:
    """A case that was run; `differences` is a diff of what was expected and what came, and empty where they agree."""

    folder: Folder
    case: Case
    outcome: Outcome
    differences: list[str]

    @property
    def passed(self) -> bool:
        return self.outcome.fault is None and not self.differences

    @property
    def verdict(self) -> str:
        if not self.passed:
            return "failed"
        return "passed" if self.case.expected is not None else "nothing expected"


class _RecordedHost:
    """Answers in the recorded order, whatever is asked, and keeps what was."""

    def __init__(self, case: Case) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answers = iter(case.answers)

    async def __call__(self, name: str, arguments: Mapping[str, Any]) -> Any:
        self.asked.append({"call": name, "arguments": dict(arguments)})
        answer = next(self._answers, None)
        if answer is None:
            raise HostCallRefused("not_recorded", f"answers.json has no answer number {len(self.asked)}, for {name}")
        if "error" in answer:
            raise HostCallRefused(answer["error"]["code"], answer["error"]["message"])
        return answer["value"]


async def _test(folders: list[Folder], name: str | None, *, update: bool, as_json: bool) -> list[_Tried]:
    found: list[_Tried] = []
    async with open_cage() as cage:
        for folder in folders:
            bytecode = await compile_file(cage, folder.hook)
            if not isinstance(bytecode, bytes):
                print_faults(folder.hook, bytecode)
                raise typer.Exit(1)
            for case in folder.cases(name):
                tried = await _try(cage, bytecode, folder, case, update=update)
                found.append(tried)
                if not as_json:
                    _print(tried)
    if not found:
        raise InvalidInput("There are no cases: a case is a folder such as cases/example with an event.json.")
    return found


async def _try(cage: Cage, bytecode: bytes, folder: Folder, case: Case, *, update: bool) -> _Tried:
    host = _RecordedHost(case)
    outcome = await cage.run(_job(bytecode, folder, case), host)
    found = {"result": outcome.result, "effects": list(outcome.effects), "logs": list(outcome.logs)}
    if update and outcome.fault is None:
        case.expect(found)
    recorded = [{"call": answer.get("call"), "arguments": answer.get("arguments")} for answer in case.answers]
    differences = json_diff(recorded, host.asked, "answers.json", "asked")
    if case.expected is not None and not update:
        differences += json_diff(case.expected, found, "expected.json", "found")
    return _Tried(folder, case, outcome, differences)


def _job(bytecode: bytes, folder: Folder, case: Case) -> Job:
    """Return the run at the moment of its event, and with the event's id as its chance: so it is always the same."""
    try:
        event_id, now, tenant_id = (str(case.event[name]) for name in ("id", "occurred_at", "tenant_id"))
    except KeyError as error:
        hint = "`rustok events samples` shows events"
        raise InvalidInput(f"{case.path / 'event.json'} lacks {error}: {hint}.") from error
    return Job(
        bytecode=bytecode,
        event=case.event,
        now=now,
        seed=event_id,
        run_id=event_id,
        tenant_id=tenant_id,
        script=folder.name,
    )


def _print(tried: _Tried) -> None:
    outcome = tried.outcome
    colour = "green" if tried.passed else "red"
    typer.echo(f"{tried.folder.name}/{tried.case.name}: {typer.style(tried.verdict, fg=colour)}")
    print_parts(
        log=list(log_lines(outcome.logs)),
        error=list(error_lines(_fault(outcome))),
        effects=list(effect_lines(outcome.effects)),
        result=[to_json(outcome.result)],
        used=[usage_line(asdict(outcome.usage), RunLimits())],
    )
    print_diff(tried.differences, indent="  ")


def _row(tried: _Tried) -> dict[str, Any]:
    return {
        "folder": str(tried.folder.path),
        "case": tried.case.name,
        "verdict": tried.verdict,
        "result": tried.outcome.result,
        "effects": tried.outcome.effects,
        "logs": tried.outcome.logs,
        "error": _fault(tried.outcome),
        "usage": asdict(tried.outcome.usage),
        "limits": RunLimits().model_dump(),
        "differences": tried.differences,
    }


def _fault(outcome: Outcome) -> dict[str, Any] | None:
    return asdict(outcome.fault) if outcome.fault else None
