"""From a host name to its addresses."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Protocol

from rustok.egress.addresses import IPAddress
from rustok.kernel.errors import Unavailable

_LOOKUPS = 64
_LOOKUPS_OF_A_DOMAIN = 8
"""Look-ups that may be under way at a time, and those of names that share their last two labels.

Where a name server hangs, a look-up outlasts its call; whoever controls one domain shall not use them all up.
"""


class Resolver(Protocol):
    async def resolve(self, host: str) -> Sequence[IPAddress]:
        """Return every address of the DNS name *host*, the preferred one first.

        Raises:
            OSError: there is none, or nobody answered.
            Unavailable: it was not asked for; later it may be.

        """


class SystemResolver:
    """Asks as the machine is set up, for each name in a thread of its own, which the process does not wait for.

    Threads of a pool would be waited for at exit, and calls would queue behind names that nobody answers for.
    """

    def __init__(self, look_up: Callable[[str], Sequence[IPAddress]] | None = None) -> None:
        self._look_up = look_up or _addresses_of
        self._under_way: Counter[str] = Counter()

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        domain = ".".join(host.split(".")[-2:])
        if self._under_way.total() >= _LOOKUPS or self._under_way[domain] >= _LOOKUPS_OF_A_DOMAIN:
            raise Unavailable("Too many host names are being looked up: the name servers are slow.")
        self._under_way[domain] += 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[IPAddress]] = loop.create_future()

        def ask() -> None:
            found = self._asked(host)
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._tell, domain, answer, found)

        threading.Thread(target=ask, name="egress-dns", daemon=True).start()
        return await answer

    def _asked(self, host: str) -> Sequence[IPAddress] | Exception:
        try:
            return self._look_up(host)
        except Exception as error:  # noqa: BLE001 - it is raised on the event loop
            return error

    def _tell(
        self,
        domain: str,
        answer: asyncio.Future[Sequence[IPAddress]],
        found: Sequence[IPAddress] | Exception,
    ) -> None:
        self._under_way -= Counter((domain,))  # drops what has come to none
        if answer.done():
            return  # the call is over
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)


def _addresses_of(host: str) -> Sequence[IPAddress]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ip_address(str(socket_address[0])) for *_, socket_address in found]
