"""`rustok.client` has the operations that the OpenAPI document has."""

import pytest

from tests.client_code.__main__ import COMMAND, DIRECTORY, client_files
from tests.integration.api.refresh_openapi import document

FILES = client_files(document())


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_client_is_what_the_document_says(name: str) -> None:
    """A client that was not refreshed with the API lacks what is new, or sends what is gone."""
    file = DIRECTORY / name

    stored = file.read_text(encoding="utf-8") if file.exists() else ""

    assert stored == FILES[name], f"rustok/client/{name} is stale: run `{COMMAND}`"


def test_the_client_has_no_other_modules() -> None:
    """What nothing refreshes is stale sooner or later."""
    stored = {f"modules/{file.name}" for file in (DIRECTORY / "modules").glob("*.py")}

    assert stored == FILES.keys() - {"models.py"}
