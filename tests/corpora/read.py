"""The corpora of this folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile

_FOLDER = Path(__file__).parent
_TEXTS = "test_parsing/"


def json_texts() -> Mapping[str, bytes]:
    """Return the texts of JSONTestSuite by name: `y_` are JSON, `n_` are not, of `i_` readers differ."""
    with ZipFile(_FOLDER / "json_test_suite.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith(_TEXTS)]
        return {name.removeprefix(_TEXTS): archive.read(name) for name in names}


def naughty_strings() -> Sequence[str]:
    """Return the strings of the Big List of Naughty Strings."""
    strings: list[str] = json.loads((_FOLDER / "naughty_strings.json").read_text())
    return strings
