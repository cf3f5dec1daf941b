"""Lists, a page at a time or one thing after the other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class PageLinks(Struct, frozen=True, kw_only=True):
    """Cursors of the pages around one, None where there is none; the log of events has a `next` for ever."""

    next: str | None
    prev: str | None = None
    has_more: bool | None = None


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list; `after=page.next` goes on behind it, `after=page.prev` before it."""

    data: tuple[T, ...]
    page: PageLinks

    @property
    def next(self) -> str | None:
        return self.page.next

    @property
    def prev(self) -> str | None:
        return self.page.prev


class Pages(Generic[T]):
    """A list that is read as far as it is iterated: `async for thing in pages`, `async for page in pages.by_page()`."""

    __slots__ = ("_after", "_read")

    def __init__(self, read: Callable[[str | None], Awaitable[Page[T]]], after: str | None) -> None:
        self._read = read
        self._after = after

    async def first(self) -> Page[T]:
        """Read the first page, that behind `after`, alone."""
        return await self._read(self._after)

    async def by_page(self) -> AsyncIterator[Page[T]]:
        """Read page after page to the end of the list, of the log of events to the end of what there is now."""
        page = await self.first()
        yield page
        while page.next is not None and page.page.has_more is not False:
            page = await self._read(page.next)
            yield page

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.by_page():
            for thing in page.data:
                yield thing
