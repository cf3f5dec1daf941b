"""Writes the snapshot of the OpenAPI document: `python -m tests.integration.api.refresh_openapi`."""

import json
from pathlib import Path
from typing import Any

from api.openapi import build_document
from rustok.catalog import MODULES
from rustok.kernel.registry import build_registry

SNAPSHOT = Path(__file__).with_name("openapi.json")


def document() -> dict[str, Any]:
    """Return the document of this build."""
    return build_document(build_registry(MODULES))


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
