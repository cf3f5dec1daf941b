"""Folders of hooks, as their authors have them."""

import json
from pathlib import Path
from typing import Any

from tests.integration.alloy.workshop import hook


def a_folder(parent: Path, name: str, body: str, **manifest: Any) -> Path:
    """Write a folder with a hook whose `handle` has this body, and its manifest."""
    folder = parent / name
    folder.mkdir(exist_ok=True)
    (folder / "hook.py").write_text(hook(body))
    fields = {"name": name, "triggers": [{"kind": "event", "pattern": "commerce.product.created"}], **manifest}
    (folder / "script.json").write_text(json.dumps(fields))
    return folder


def a_case(folder: Path, name: str, **files: Any) -> Path:
    """Write a case; each keyword is a file. The event is that of a created product, if not given."""
    case = folder / "cases" / name
    case.mkdir(parents=True)
    for file, content in {"event": EVENT, **files}.items():
        (case / f"{file}.json").write_text(json.dumps(content))
    return case


EVENT = {
    "id": "0198f3d3-4f00-7e66-b132-704c9e1f3d01",
    "type": "commerce.product.created",
    "version": 1,
    "tenant_id": "0198f3a0-1c00-7a10-8a00-00000000a001",
    "aggregate_type": "product",
    "aggregate_id": "0198f3b1-2d00-7c44-9f10-5e2a7c9d1b01",
    "aggregate_version": 1,
    "occurred_at": "2026-03-02T09:15:00+00:00",
    "actor": "user:0198f3a0-1c00-7a10-8a00-00000000b001",
    "correlation_id": "0198f3d3-4f00-7e66-b132-704c9e1f3d00",
    "causation_id": "0198f3d3-4f00-7e66-b132-704c9e1f3d00",
    "traceparent": None,
    "payload": {"locales": ["en"], "variants": 0},
}
