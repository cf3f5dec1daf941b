"""Paths with what they are about."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote


def filled(path: str, parts: Mapping[str, Any]) -> str:
    """Return *path* with its placeholders filled.

    Raises:
        ValueError: a part is empty, dots, or has a slash, which would make it the path of something else.

    """
    return path.format_map({name: _quoted(name, str(value)) for name, value in parts.items()}) if parts else path


def _quoted(name: str, text: str) -> str:
    if text in ("", ".", "..") or "/" in text:
        raise ValueError(f"{name} must not be {text!r}, which would be the path of something else")
    return quote(text, safe="")
