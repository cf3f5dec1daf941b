"""The reference in docs/reference says what the code says."""

import pytest

from tests.reference import COMMAND, DIRECTORY, pages

PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    """A page that was not refreshed with the code tells readers something untrue."""
    file = DIRECTORY / name

    stored = file.read_text(encoding="utf-8") if file.exists() else ""

    assert stored == PAGES[name], f"docs/reference/{name} is stale: run `{COMMAND}`"


def test_the_reference_has_no_other_pages() -> None:
    """A page that nothing refreshes is stale sooner or later."""
    assert {file.name for file in DIRECTORY.iterdir()} == PAGES.keys()
