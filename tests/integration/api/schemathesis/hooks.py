"""What no schema says of a good request, for schemathesis: what only the server knows, and rules between fields."""

import json
import os
from collections.abc import Iterator, Mapping
from itertools import count, cycle
from typing import Any

import httpx2
import schemathesis
from schemathesis import Case, GenerationMode, HookContext
from schemathesis.generation.meta import TestPhase

_ROOT_SEGMENTS = 6
"""Of the path of a thing that has a version: `/api/v1/commerce/products/{id}`."""
_INT64 = 2**63

_names: Mapping[str, str] = json.loads(os.environ["RUSTOK_NAMES"])
"""Of things that the tenant has, by the field of a path that names them."""
_keys, _turns = count(), cycle((True, False))
_client = httpx2.Client(
    base_url=os.environ["RUSTOK_URL"], headers={"Authorization": f"Bearer {os.environ['RUSTOK_TOKEN']}"}
)


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Make a good request one that the server can take, and leave what is wrong with a bad one alone."""
    assert case.meta is not None
    is_good = case.meta.generation.mode is GenerationMode.POSITIVE
    if is_good:
        if case.meta.phase.name is not TestPhase.STATEFUL:  # there, requests are about what others have made
            _name_what_there_is(case)
        _know_the_server(case)
        _keep_rules_between_parameters(case)
        case.body = _within_limits(case.body)
        for each in _objects(case.body):
            _keep_rules_between_fields(each)
        if case.path.startswith("/api/v1/access/") and isinstance(case.body, dict):
            _keep_rules_of_access(case.path, case.body)
    if isinstance(case.body, dict) and case.body.get("mode") in ("atomic", "independent"):
        # An atomic batch is refused for what is wrong with an item; an independent one has its items refused.
        case.body["mode"] = "independent" if is_good else "atomic"


def _name_what_there_is(case: Case[Any]) -> None:
    """Let every other request be about things that are there, or were before one like it."""
    if next(_turns):
        case.path_parameters.update({name: _names[name] for name in case.path_parameters if name in _names})


def _know_the_server(case: Case[Any]) -> None:
    """Name the tenant and the version of what is there, use a key that was used for no other request, and neither a
    cursor nor a token that nobody has handed out.
    """
    known = {"X-Tenant": "acme", "Idempotency-Key": f"key-{next(_keys)}", "RusToK-Consistency": ""}
    case.headers.update({name: value for name, value in known.items() if name in case.headers})
    if case.path.startswith(
        ("/api/v1/access/sessions", "/api/v1/access/logins", "/api/v1/access/passwords")
    ):  # no credential names the tenant
        case.headers["X-Tenant"] = known["X-Tenant"]
    if "after" in case.query:
        case.query["after"] = ""
    if "If-Match" in case.headers:
        root = "/".join(case.formatted_path.split("/")[:_ROOT_SEGMENTS])
        case.headers["If-Match"] = _client.get(root).headers.get("etag", '"1"')


def _keep_rules_between_parameters(case: Case[Any]) -> None:
    if case.query.get("sort") == "relevance":
        case.query.setdefault("q", "bicycle")


def _keep_rules_between_fields(fields: dict[str, Any]) -> None:
    if fields.get("format") == "json":
        fields["body"] = "{}"
    if isinstance(fields.get("compare_at"), int | float):
        fields["compare_at"] = fields["amount"]
    if fields.get("kind") == "cron":
        fields |= {"expression": "0 6 * * *", "timezone": "UTC"}
    if "bodies" in fields:
        texts = fields["translations"]
        fields["bodies"] = {locale: body for locale, body in fields["bodies"].items() if locale in texts}
    if "variants" in fields:
        fields["options"] = []
        fields["variants"] = [_without_options(variant) for variant in fields["variants"]]
    if "parent_id" in fields:
        fields["parent_id"] = None
    if "is_enabled" in fields:  # what comes after it would be answered by no module
        fields["is_enabled"] = True


def _keep_rules_of_access(path: str, fields: dict[str, Any]) -> None:
    """Name roles, permissions and a future that there are, and an address and a password that could be somebody's."""
    known = {
        "roles": ["editor"],
        "parents": [],
        "grants": ["commerce.*"],
        "own_grants": [],
        "scopes": ["commerce.*"],
        "expires_at": "2999-01-01T00:00:00Z",
        "email": f"user-{next(_keys)}@example.com",
        "password": "correct horse battery staple",
        "new_password": "correct horse battery staple",
    }
    fields |= {name: value for name, value in known.items() if name in fields}
    if path.endswith("/api-keys"):
        fields |= {"role": "manager", "principal_id": None}


def _without_options(variant: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in variant.items() if not name.startswith("option")}


def _within_limits(value: Any) -> Any:
    """Return *value* without integers of more than 64 bits, at any depth of a free-form object."""
    if isinstance(value, dict):
        return {name: _within_limits(below) for name, below in value.items()}
    if isinstance(value, list):
        return [_within_limits(below) for below in value]
    is_large = isinstance(value, int) and not -_INT64 <= value < _INT64
    return 0 if is_large else value


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each object in *value*, the outer ones first."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _objects(below)
