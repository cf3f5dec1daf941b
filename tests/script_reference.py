"""The reference pages for authors of scripts: what a hook gets, and what it may use."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from rustok import sandbox
from rustok.egress import EgressConfig
from rustok.egress import exchange as egress_answer
from rustok.egress import request as egress_request
from rustok.kernel.registry import Registry
from rustok.modules.alloy import CALL, RUN, ScriptLimits
from rustok.modules.alloy.handlers import DEPTH_LIMIT
from rustok.modules.alloy.limits import SetLimits
from rustok.sandbox import compilation, conversation, frames
from rustok.sandbox.language import compiler, policy, values
from rustok.sandbox.language.context import Context, Http, KeyValues, Log
from rustok.sandbox.language.facades import MODULES
from rustok.sandbox.language.runtime import SAFE
from tests.markdown import attribute_docstrings, class_in, table
from workers import script_runs

_STUB = Path(sandbox.__file__).with_name("types") / "alloy" / "__init__.pyi"
_KIB, _MIB = 1 << 10, 1 << 20

_KEPT_BY: Mapping[str, tuple[str, str]] = {
    "cpu_ms": ("the kernel: a timer of the process's CPU time", "`cpu_exceeded`"),
    "wall_ms": ("the worker; time in host calls is not counted", "`wall_timeout`"),
    "memory_bytes": ("the kernel: RLIMIT_AS, above what an idle child has", "`memory_exceeded`"),
    "output_bytes": ("the worker: result and effects as JSON", "`output_too_large`"),
    "log_bytes": ("the worker: the rest of the log is cut, the run goes on", "a last line `log_truncated`"),
    "host_calls": ("the worker: everything that is awaited", "`host_calls_exceeded`"),
    "scripts": ("the command that creates one", "`quota_exceeded`"),
    "versions_a_script": ("the command that pushes one", "`quota_exceeded`"),
    "values_a_script": ("each write of a value", "`quota_exceeded`, in a run `effect_refused`"),
    "value_bytes": ("each write of a value, as JSON", "`quota_exceeded`, in a run `effect_refused`"),
    "calls_a_run": ("the transaction that has the effects", "`effect_refused`"),
    "runs_a_minute": ("the consumer of events: what is beyond it starts later, none is dropped", "-"),
    "failures_in_a_row": ("the end of an attempt: the script is disabled", "`script_disabled`"),
}


def host_api(_registry: Registry) -> str:
    text = dedent("""\
        # What a hook gets

        A hook is `async def handle(event, ctx)`. What is marked `await` asks the platform at once, and is a host call.
        What changes anything is recorded, and done after the hook has returned, all of it or nothing. How to use it is
        in [the guide](../script-author.md).

        ## event

        What is in the payload of each type is in [events](events.md).

        """)
    event = class_in(_STUB.read_text(encoding="utf-8"), "Event")
    rows = [(f'`event["{name}"]`', meaning) for name, meaning in attribute_docstrings(event).items()]
    text += f"{table(('field', 'what it is'), rows)}\n"
    for title, kind in (("ctx", Context), ("ctx.log", Log), ("ctx.kv", KeyValues), ("ctx.http", Http)):
        text += f"## {title}\n\n{_sentence(kind)}\n\n{table(('member', 'what it is'), _members(title, kind))}\n"
    text += dedent("""\
        ## What can be imported

        A module here is a set of chosen names; nothing else of it is there.

        """)
    text += table(("module", "names"), [(f"`{module}`", _names(names)) for module, names in MODULES.items()])
    text += f"\n## Built-in names\n\n{_names(name for name in (*SAFE, 'print') if not name.startswith('_'))}\n"
    return f"{text}\n## Methods with underscores that a class may define\n\n{_names(policy._METHODS)}\n"


def _members(title: str, kind: type) -> Iterator[tuple[str, str]]:
    for name, meaning in attribute_docstrings(class_in(inspect.getsource(kind), kind.__name__)).items():
        yield f"`{title}.{name}`", meaning
    for name, member in vars(kind).items():
        if callable(member) and (name == "__call__" or not name.startswith("_")):
            yield _signature(title if name == "__call__" else f"{title}.{name}", member), _sentence(member)


def _signature(name: str, method: Callable[..., Any]) -> str:
    whole = inspect.signature(method)
    _, *parameters = whole.parameters.values()
    shown = whole.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    return f"`{'await ' if inspect.iscoroutinefunction(method) else ''}{name}{shown}`"


def _sentence(thing: Any) -> str:
    sentence = thing.__doc__
    assert sentence, f"{thing.__qualname__} is without a sentence"
    return " ".join(sentence.split())


def _names(names: Any) -> str:
    return " ".join(f"`{name}`" for name in sorted(names))


def limits(_registry: Registry) -> str:
    text = dedent("""\
        # Limits of scripts

        `GET /api/v1/alloy/limits` and `rustok scripts limits` show those of a tenant. An operator sets others; fields
        that are not set have the default. What a code means is in [the guide](../script-author.md#when-a-run-fails).

        ## Of a tenant

        """)
    ranges = SetLimits.model_json_schema()["properties"]
    text += table(
        ("limit", "default", "an operator may set", "kept by", "code"),
        [_tenant_row(name, field.default, ranges[name]) for name, field in ScriptLimits.model_fields.items()],
    )
    text += "\n## Of a source, when it is checked\n\n"
    text += table(("what", "limit", "code"), _source_rows())
    text += "\n## The same for everybody\n\n"
    return text + table(("what", "limit", "beyond it"), _fixed_rows())


def _tenant_row(name: str, default: int | None, schema: Mapping[str, Any]) -> tuple[str, ...]:
    number = next((part for part in schema.get("anyOf", ()) if part["type"] == "integer"), schema)
    span = f"{_amount(name, number['minimum'])} to {_amount(name, number['maximum'])}"
    return f"`{name}`", "no limit" if default is None else _amount(name, default), span, *_KEPT_BY[name]


def _amount(name: str, value: int) -> str:
    """Return *value* with the unit that the name ends in."""
    if name.endswith("_ms"):
        return f"{value:,} ms"
    if not name.endswith("_bytes"):
        return f"{value:,}"
    if value % _MIB == 0:
        return f"{value // _MIB:,} MiB"
    return f"{value // _KIB:,} KiB" if value % _KIB == 0 else f"{value:,} bytes"


def _source_rows() -> Iterator[tuple[str, str, str]]:
    allowed = compilation.LIMITS
    for what, limit in (
        ("bytes of UTF-8", _amount("_bytes", compiler.LONGEST_SOURCE_BYTES)),
        ("syntax nodes", f"{compiler._MOST_NODES:,}"),
        ("levels of nesting", str(compiler._GREATEST_DEPTH)),
        ("CPU time of its check", _amount("_ms", allowed.cpu_ms)),
        ("time of its check", _amount("_ms", allowed.wall_ms)),
        ("memory of its check", _amount("_bytes", allowed.memory_bytes)),
    ):
        yield what, limit, "`source_too_large`"


def _fixed_rows() -> Iterator[tuple[str, str, str]]:
    mebibytes = _amount("_bytes", egress_answer.ANSWER_LIMIT_BYTES)
    yield "nesting of a value that leaves a hook", str(values.MAX_DEPTH), "`invalid_result`"
    yield "parts of a value that leaves a hook", f"{values.MAX_NODES:,}", "`invalid_result`"
    answer = _amount("_bytes", conversation._MOST_ANSWER_BYTES)
    question = _amount("_bytes", frames.MOST_CALL_BYTES)
    yield "question of a host call", question, "`RuntimeError` with `call_too_large`"
    yield "answer to a host call", answer, "`RuntimeError` with `answer_too_large`"
    yield "scripts in a row that start each other", str(DEPTH_LIMIT), "`loop_detected`"
    yield "reruns of an attempt after a conflict", str(script_runs._RERUNS), "`conflict`"
    yield "attempts at a run", str(RUN.max_attempts), "given up: redrive it"
    yield "attempts at an HTTP effect", str(CALL.max_attempts), "given up"
    yield "time of one HTTP request", f"{EgressConfig().time_limit_s:g} s", "`call_failed`"
    yield "URL of a request", f"{egress_request.URL_LIMIT:,} characters", "`request_too_large`"
    yield "headers of a request", _amount("_bytes", egress_request.HEADERS_LIMIT_BYTES), "`request_too_large`"
    yield "body of a request", _amount("_bytes", egress_request.BODY_LIMIT_BYTES), "`request_too_large`"
    yield "body of an answer", mebibytes, "the rest is not read"
