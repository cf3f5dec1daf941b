"""Name servers that hang keep nobody waiting: neither other calls nor the end of the process."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

import pytest

from rustok.egress import IPAddress, SystemResolver
from rustok.kernel.errors import Unavailable

ADDRESS = IPv4Address("203.0.113.7")
LOOKUPS, LOOKUPS_OF_A_DOMAIN = 64, 8
HANG = """
import asyncio, threading
from rustok.egress import SystemResolver

async def main():
    try:
        async with asyncio.timeout(0.01):
            await SystemResolver(lambda host: threading.Event().wait()).resolve("hangs.example")
    except TimeoutError:
        print("gave up", flush=True)

asyncio.run(main())
"""


class Names:
    """A name server that answers for names below `test` at once, and for others when `answers` is set."""

    def __init__(self) -> None:
        self.answers = threading.Event()

    def __call__(self, host: str) -> Sequence[IPAddress]:
        if host.endswith("unknown.test"):
            raise OSError("no such name")
        if not host.endswith(".test"):
            self.answers.wait()
        return [ADDRESS]


@pytest.fixture
def names() -> Iterator[Names]:
    names = Names()
    yield names
    names.answers.set()


async def hanging(resolver: SystemResolver, hosts: Sequence[str]) -> list[asyncio.Task[Sequence[IPAddress]]]:
    """Ask for *hosts*, and let it begin."""
    asked = [asyncio.create_task(resolver.resolve(host)) for host in hosts]
    await asyncio.sleep(0)
    return asked


async def test_a_name_is_asked_for(names: Names) -> None:
    """And what the name server says of it is passed on."""
    resolver = SystemResolver(names)

    assert await resolver.resolve("shop.test") == [ADDRESS]
    with pytest.raises(OSError, match="no such name"):
        await resolver.resolve("unknown.test")


async def test_one_domain_cannot_use_up_all_look_ups(names: Names) -> None:
    """Another name of it is refused at once, as nobody's fault; names of others are answered."""
    resolver = SystemResolver(names)
    asked = await hanging(resolver, [f"h{number}.hangs.example" for number in range(LOOKUPS_OF_A_DOMAIN)])

    with pytest.raises(Unavailable):
        await resolver.resolve("another.hangs.example")

    assert await resolver.resolve("shop.test") == [ADDRESS]
    names.answers.set()
    assert await asyncio.gather(*asked) == [[ADDRESS]] * LOOKUPS_OF_A_DOMAIN
    assert await resolver.resolve("another.hangs.example") == [ADDRESS]


async def test_nobody_waits_for_a_look_up_to_come_free(names: Names) -> None:
    """With all of them hanging a call is refused at once; the next try may do better."""
    resolver = SystemResolver(names)
    asked = await hanging(resolver, [f"hangs.example{number}" for number in range(LOOKUPS)])

    with pytest.raises(Unavailable):
        await resolver.resolve("shop.test")

    names.answers.set()
    await asyncio.gather(*asked)
    assert await resolver.resolve("shop.test") == [ADDRESS]


async def test_a_call_that_gave_up_holds_its_look_up_until_that_ends(names: Names) -> None:
    """The thread is still there: it counts as long as it hangs, and not for longer."""
    resolver = SystemResolver(names)
    for number in range(LOOKUPS_OF_A_DOMAIN):
        [asked] = await hanging(resolver, [f"h{number}.hangs.example"])
        asked.cancel()
    with pytest.raises(Unavailable):
        await resolver.resolve("another.hangs.example")

    names.answers.set()

    async with asyncio.timeout(20):
        while await refused(resolver, "another.hangs.example"):
            pass


async def refused(resolver: SystemResolver, host: str) -> bool:
    try:
        await resolver.resolve(host)
    except Unavailable:
        await asyncio.sleep(0)
        return True
    return False


def test_a_process_ends_while_names_hang() -> None:
    """A worker that stops does not wait for somebody's name server."""
    ended = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", HANG], capture_output=True, text=True, timeout=60, check=True
    )

    assert ended.stdout == "gave up\n"
