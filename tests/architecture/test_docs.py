"""The pages lead where they say, and show code that is run."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rustok.modules.alloy.schemas import CreateScript
from rustok.sandbox.language.compiler import compile_source

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for place in ("docs", "deploy", "scripts") for page in (ROOT / place).rglob("*.md"))]
)

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_FROM_AN_INDEX = re.compile(r"\b(pip install|uv add) [\"']?rustok\b")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def relative_links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the target and the fragment, which may be empty, of each link inside the tree."""
    for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" not in link:
            path, _, fragment = link.partition("#")
            yield (page.parent / path).resolve() if path else page, fragment


def anchors(page: Path) -> set[str]:
    """Return the anchors that a forge gives the headings: lower case, hyphens for spaces, no punctuation."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    """A reader who follows a link arrives, at the heading too."""
    dead = [
        f"{target}#{fragment}"
        for target, fragment in relative_links(page)
        if not target.exists() or (fragment and fragment not in anchors(target))
    ]

    assert dead == []


def test_nobody_is_sent_to_an_index_for_this_distribution() -> None:
    """It is on none, so whatever is installed from there by this name is somebody else's."""
    sources = [path for place in ("api", "rustok", "workers") for path in (ROOT / place).rglob("*.py")]

    assert [path for path in [*PAGES, *sources] if _FROM_AN_INDEX.search(path.read_text(encoding="utf-8"))] == []


def test_every_decision_is_listed() -> None:
    """A page that the list lacks is not found."""
    directory = ROOT / "docs" / "decisions"
    listed = {target.name for target, _ in relative_links(directory / "README.md")}

    assert listed == {page.name for page in directory.glob("[0-9]*.md")}


def test_the_hook_of_the_guide_is_one() -> None:
    """An author who copies docs/script-author.md has a hook that passes its check, and a manifest that is taken."""
    page = (ROOT / "docs" / "script-author.md").read_text(encoding="utf-8")
    [hook, *_] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    [manifest, *_] = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)

    assert isinstance(compile_source(hook), bytes)
    assert CreateScript.model_validate_json(manifest).name == "vendor-tag"


def test_the_example_of_the_test_kit_is_one_that_is_run() -> None:
    """docs/testing.md shows a test file of the suite, letter for letter, so it cannot rot."""
    example = (ROOT / "tests" / "integration" / "test_docs_testing_kit.py").read_text(encoding="utf-8")

    assert f"```python\n{example}```\n" in (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def test_the_jobs_of_the_contributors_page_are_ones_that_are_made() -> None:
    """docs/contributor.md shows a file that `tests/integration/jobs/test_docs_jobs.py` tests, letter for letter."""
    example = (ROOT / "tests" / "integration" / "jobs" / "brands_jobs.py").read_text(encoding="utf-8")

    assert f"```python\n{example}```\n" in (ROOT / "docs" / "contributor.md").read_text(encoding="utf-8")
