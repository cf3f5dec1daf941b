"""The page about the client shows code that runs."""

import asyncio
import re
from pathlib import Path
from textwrap import indent
from typing import Any

from rustok.client import RustokClient
from rustok.testing import PlatformUnderTest
from tests.integration.api.support import ApiUnderTest
from tests.integration.client.support import client_of

PAGE = Path(__file__).parents[3] / "docs" / "client.md"


def program() -> Any:
    """Return the blocks of the page, one after the other, as a coroutine function of a client."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, Any] = {}
    source = f"async def page(rustok):\n{indent(''.join(blocks), '    ')}    return locals()"
    exec(compile(source, PAGE, "exec"), names)  # noqa: S102 - our own page
    return names["page"]


async def test_the_examples_of_the_page_run(rustok: PlatformUnderTest) -> None:
    """One after the other, beside a worker that never stops."""
    page = program()
    async with ApiUnderTest.open(rustok) as api, client_of(api) as client:
        running = asyncio.ensure_future(_run(page, client))
        while not running.done():
            await api.rustok.settle()
        told = await running

    assert told["titles"] == ["Blue bicycle"]
    assert told["hits"] == [told["product"].id]
    assert told["cursor"]


async def _run(page: Any, client: RustokClient) -> dict[str, Any]:
    return dict(await page(client))
