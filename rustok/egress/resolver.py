"""From a host name to its addresses."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Protocol

from rustok.egress.addresses import IPAddress

_THREADS = 16


class Resolver(Protocol):
    async def resolve(self, host: str) -> Sequence[IPAddress]:
        """Return every address of the DNS name *host*, the preferred one first.

        Raises:
            OSError: there is none, or nobody answered.

        """

    def close(self) -> None: ...


class SystemResolver:
    """Asks as the machine is set up, in threads of its own: a name server that hangs delays nothing but calls."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="egress-dns")

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _addresses_of, host)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses_of(host: str) -> Sequence[IPAddress]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ip_address(str(socket_address[0])) for *_, socket_address in found]
