"""What `rustok dev` prints once everything runs: commands to paste."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rustok.cli.demo_hooks import DEMO_HOOKS, DEMO_TENANT

_BICYCLE = {
    "status": "active",
    "vendor": "Acme",
    "translations": {"en": {"title": "Red bicycle"}, "de": {"title": "Rotes Fahrrad"}},
    "variants": [{"sku": "BIKE-RED", "prices": {"EUR": {"amount": 19900}}}],
}
_GLOVES = {
    "status": "active",
    "translations": {"en": {"title": "Winter gloves"}},
    "variants": [{"sku": "GLOVES"}],
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the platform runs; `metrics_port` is the relay's, the first worker has the next one."""

    url: str
    token: str
    metrics_port: int
    state_dir: Path


def what_next(place: Place, *, hooks: bool) -> str:
    """Return what a newcomer can paste; *hooks*: those of the demo tenant run."""
    url, token, port, command = place.url, place.token, place.metrics_port, _command()
    return f"""
RusToK is running. Documentation of the API: {url}/docs

export RUSTOK_URL={url}
export RUSTOK_TOKEN={token}

Create a product; paste it twice and see the same answer replayed:

{_create(place, "first-bicycle", _BICYCLE)}

Search, in three languages:

curl -sG {url}/api/v1/search/products -d locale=en -d q=bicycle -H 'Authorization: Bearer {token}'
curl -sG {url}/api/v1/search/products -d locale=de -d q=Fahrrad -H 'Authorization: Bearer {token}'
curl -sG {url}/api/v1/search/products -d locale=ru --data-urlencode q=игра -H 'Authorization: Bearer {token}'

In another terminal:

export RUSTOK_STATE_DIR={place.state_dir}
{command} events tail
{command} index status
{_about_hooks(place) if hooks else ""}
Import your own products, one JSON object a line, or a whole index of Debian packages as the demo's
deploy/demo/catalog.jsonl.gz has it, plain or gzipped:

{command} import products FILE --tenant {DEMO_TENANT}
{command} import products FILE --tenant {DEMO_TENANT} --shape debian

Metrics: {url}/metrics (API), http://127.0.0.1:{port}/metrics (relay), :{port + 1} (first worker)

Ctrl-C stops everything; the data stays.
"""


def _about_hooks(place: Place) -> str:
    command = _command()
    return f"""
Two hooks of scripts/ are installed, {" and ".join(DEMO_HOOKS)}. Create a product without a price and see what they did:

export RUSTOK_TENANT={DEMO_TENANT}
{_create(place, "first-gloves", _GLOVES)}

{command} scripts logs missing-price-alert
{command} scripts logs auto-tags

Change scripts/missing-price-alert/hook.py, run it on its cases, deploy it, and go back:

{command} scripts test scripts/missing-price-alert
{command} scripts push scripts/missing-price-alert
{command} scripts rollback missing-price-alert
"""


def _create(place: Place, key: str, product: Mapping[str, Any]) -> str:
    return f"""curl -si {place.url}/api/v1/commerce/products \\
  -H 'Authorization: Bearer {place.token}' \\
  -H 'Content-Type: application/json' -H 'Idempotency-Key: {key}' \\
  -d '{json.dumps(product)}'"""


def _command() -> Path:
    """Return how to write `rustok` here."""
    command = Path(sys.argv[0])
    return command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command
