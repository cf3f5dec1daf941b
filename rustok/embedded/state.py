"""Where the embedded servers keep their state, who may use it, and as which account they run."""

import contextlib
import fcntl
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rustok.embedded.errors import AccountMissing, StateInUse, StateUnusable


def default_state_dir(environ: Mapping[str, str], uid: int | None = None) -> Path:
    """``/var/lib/rustok`` for root, else ``$XDG_STATE_HOME/rustok`` or ``~/.local/state/rustok``.

    Raises:
        StateUnusable: the user has no home directory.

    """
    uid = os.geteuid() if uid is None else uid
    if uid == 0:
        return Path("/var/lib/rustok")
    # A relative XDG path is invalid and must be ignored (XDG Base Directory Specification 0.8).
    if (xdg := Path(environ.get("XDG_STATE_HOME", ""))).is_absolute():
        return xdg / "rustok"
    home = environ.get("HOME") or _home_of(uid)
    return Path(home) / ".local/state/rustok"


def _home_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        raise StateUnusable(f"uid {uid} has no home directory: set HOME or XDG_STATE_HOME") from None


_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp is safe there, as in the others
_ROOM_BYTES = 4 << 30


@contextlib.contextmanager
def temporary_state_dir(*, in_memory: bool = False) -> Iterator[Path]:
    """A state directory that lives for one ``with`` block; reachable by the servers even when we are root.

    *in_memory*: where the system has a file system for that, with room; a database is cloned in a tenth of the time.
    """
    account = server_account()
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108
    if in_memory and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES:
        places.insert(0, _MEMORY)
    place = next((p for p in places if account is None or account.can_reach(p)), places[0])
    with tempfile.TemporaryDirectory(prefix="rustok-", dir=place) as name:
        path = Path(name)
        path.chmod(_state_mode())
        yield path


def create_state_dir(path: Path, account: "Account | None") -> None:
    """Create *path* if need be and check that *account* reaches it; existing modes stay as they are.

    Raises:
        StateUnusable: the account cannot reach it.

    """
    missing = [step for step in (path, *path.parents) if not step.exists()]
    existing = missing[-1].parent if missing else path
    if account and not account.can_reach(existing):
        raise StateUnusable(
            f"the account {account.name!r} that runs PostgreSQL cannot reach {path}: "
            "choose a state directory outside private directories, such as /var/lib/rustok"
        )
    for step in reversed(missing):
        step.mkdir()
        step.chmod(_state_mode())


def _state_mode() -> int:
    # The servers' own directories inside are 0700; root's must let the unprivileged account through.
    return 0o711 if os.geteuid() == 0 else 0o700


@dataclass(frozen=True)
class Account:
    """An unprivileged user to run a server as."""

    name: str
    uid: int
    gid: int

    def can_reach(self, path: Path) -> bool:
        """Whether mode bits let the account enter *path* (or execute it) and every directory above."""
        return all(self._may_enter(step.stat()) for step in (path, *path.parents))

    def _may_enter(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        return bool(status.st_mode & (0o010 if status.st_gid == self.gid else 0o001))


def server_account() -> Account | None:
    """``nobody`` when we are root, for PostgreSQL refuses to run as root; None means ourselves.

    Raises:
        AccountMissing: there is no such account, or ours has no passwd entry, without which initdb fails.

    """
    uid = os.geteuid()
    try:
        entry = pwd.getpwnam("nobody") if uid == 0 else pwd.getpwuid(uid)
    except KeyError:
        missing = "root needs the account 'nobody'" if uid == 0 else f"uid {uid} has no passwd entry"
        raise AccountMissing(f"{missing} to run PostgreSQL: add one to /etc/passwd, or set a database URL") from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid) if uid == 0 else None


class StateLock:
    """Excludes a second launcher; the kernel drops it with the process, so even SIGKILL leaves nothing stale.

    The file holds the launcher's pid and the server's, whom the next launcher evicts if it is still there.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            launcher = self._read()[0]
            os.close(self._fd)
            raise StateInUse(
                f"{path.parent} is in use by process {launcher or '(starting)'}: "
                "stop it, or choose another state directory"
            ) from None
        server = self._read()[1]
        self.leftover = int(server) if server.isdigit() else None
        self.record(self.leftover)

    def record(self, server_pid: int | None) -> None:
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n{server_pid or ''}\n".encode(), 0)

    def _read(self) -> tuple[str, str]:
        launcher, _, server = os.pread(self._fd, 64, 0).decode().partition("\n")
        return launcher, server.strip()

    def release(self) -> None:
        os.ftruncate(self._fd, 0)
        # A forked child may share the descriptor: closing ours alone would keep the lock.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)


def own_directory(path: Path, account: Account | None) -> None:
    """Create *path* for *account* alone."""
    path.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(path, account.uid, account.gid)


def copy_for_everyone(sources: tuple[Path, ...], target: Path) -> None:
    """Copy directories into *target*, readable by all, replacing what else lies beside it; all or nothing."""
    shutil.rmtree(target.parent, ignore_errors=True)
    draft = target.parent / "draft"
    for source in sources:
        shutil.copytree(source, draft / source.name, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    for path in (target.parent, draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    draft.rename(target)
