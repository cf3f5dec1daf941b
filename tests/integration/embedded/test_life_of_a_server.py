"""What holds for both embedded servers, from the first start to the last."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rustok.embedded import NotMainThread, ServerStartFailed, StateInUse, StateUnusable
from tests.integration.embedded.support import (
    Launcher,
    OrdinaryUser,
    Subject,
    all_gone,
    bystander,
    with_children,
)


async def test_data_outlives_a_clean_stop(subject: Subject, empty_state_dir: Path) -> None:
    """The first start creates the data, the next ones reuse it."""
    with subject.on(empty_state_dir) as server:
        await subject.write(server, "kept")

    with subject.on(empty_state_dir) as server:
        assert await subject.read(server) == "kept"


@pytest.mark.parametrize("end", ["stop_immediately", "kill"])
async def test_a_crashed_server_returns_on_its_port_with_its_data(subject: Subject, state_dir: Path, end: str) -> None:
    """Clients of a test that crashes a server find it again at the same URL, acknowledged writes included."""
    with subject.on(state_dir) as server:
        await subject.write(server, f"kept over {end}")
        before = (server.port, server.pid)

        getattr(server, end)()
        assert not server.running
        server.start()

        assert server.port == before[0]
        assert server.pid != before[1]
        assert await subject.read(server) == f"kept over {end}"


async def test_a_server_killed_from_outside_can_be_started_again(subject: Subject, state_dir: Path) -> None:
    """Whoever killed it, start() recovers; the children of a killed postmaster do not get in its way."""
    with subject.on(state_dir) as server:
        await subject.write(server, "kept over a stranger kill")
        processes = with_children(server.pid)

        os.kill(server.pid, signal.SIGKILL)
        processes[0].wait(10)
        server.start()

        assert await subject.read(server) == "kept over a stranger kill"


def test_a_clean_stop_leaves_no_process(subject: Subject, state_dir: Path) -> None:
    """Leaving the block ends the server and everything that it started."""
    with subject.on(state_dir) as server:
        processes = with_children(server.pid)

    assert all_gone(processes)


def test_a_stop_of_a_stopped_server_does_nothing(subject: Subject, state_dir: Path) -> None:
    """stop() may come twice, and after a crash."""
    with subject.on(state_dir) as server:
        server.kill()
        server.stop()

    assert not server.running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals children when a parent dies")
def test_no_server_outlives_a_killed_launcher(subject: Subject, state_dir: Path) -> None:
    """Even SIGKILL of the launcher leaves no orphan, also when the server runs as another user."""
    with Launcher([subject.name, str(state_dir)]) as launcher:
        processes = with_children(launcher.says["pid"])

        launcher.kill()

        assert all_gone(processes)


async def test_a_killed_launcher_does_not_block_the_next(subject: Subject, state_dir: Path) -> None:
    """The lock dies with its holder, and a server still on its way out is waited for."""
    with Launcher([subject.name, str(state_dir)]) as launcher:
        launcher.kill()

        with subject.on(state_dir) as server:
            await subject.write(server, "new")

            assert await subject.read(server) == "new"


def test_a_server_that_outlived_its_launcher_is_evicted(subject: Subject, state_dir: Path) -> None:
    """Where the kernel does not do it, the next launcher ends what the last one left behind."""
    with subject.on(state_dir):
        pass
    with bystander(state_dir / subject.name / "data") as leftover:
        (state_dir / f"{subject.name}.lock").write_text(f"1\n{leftover.pid}\n")

        with subject.on(state_dir):
            assert leftover.poll() is not None


def test_a_stranger_with_the_pid_of_a_dead_server_is_left_alone(subject: Subject, state_dir: Path) -> None:
    """Pids are recycled: only a process that works in the data directory is ours to end."""
    with bystander(state_dir) as stranger:
        (state_dir / f"{subject.name}.lock").write_text(f"1\n{stranger.pid}\n")

        with subject.on(state_dir):
            assert stranger.poll() is None


def test_a_second_launcher_is_refused(subject: Subject, state_dir: Path) -> None:
    """Two servers never share data; the refusal names the holder and the way out."""
    with (
        Launcher([subject.name, str(state_dir)]) as first,
        pytest.raises(StateInUse) as refusal,
        subject.on(state_dir),
    ):
        pass

    assert refusal.value.code == "state_in_use"
    assert f"process {first.pid}: stop it, or choose another state directory" in str(refusal.value)


def test_a_failed_start_shows_the_log_and_frees_the_state(subject: Subject, state_dir: Path) -> None:
    """The error carries what the server said, and a corrected start succeeds."""
    bad = {"shared_buffers": "none"} if subject.name == "postgres" else {"maxmemory": "none"}

    with pytest.raises(ServerStartFailed, match=next(iter(bad))) as failure:
        subject.on(state_dir, **bad).start()

    assert failure.value.code == "server_start_failed"
    with subject.on(state_dir) as server:
        assert server.running


def test_a_state_directory_that_cannot_be_made_is_named(subject: Subject, state_dir: Path) -> None:
    """An unusable place is told from a broken server."""
    (state_dir / "file").touch()

    with pytest.raises(StateUnusable, match=f"{state_dir}/file/below") as failure:
        subject.on(state_dir / "file" / "below").start()

    assert failure.value.code == "state_unusable"


def test_only_the_main_thread_may_start_a_server(subject: Subject, state_dir: Path) -> None:
    """The kernel would end the server together with the thread that started it."""
    with ThreadPoolExecutor(1) as pool, pytest.raises(NotMainThread) as refusal:
        pool.submit(subject.on(state_dir).start).result()

    assert refusal.value.code == "not_main_thread"


@pytest.mark.parametrize("variable", ["HOME", "XDG_STATE_HOME"])
def test_an_ordinary_user_keeps_state_at_home(subject: Subject, ordinary_user: OrdinaryUser, variable: str) -> None:
    """No root and no configuration: ~/.local/state/rustok, or XDG_STATE_HOME even where HOME is unset."""
    with (
        ordinary_user.home() as home,
        ordinary_user.launch([subject.name], {variable: str(home)}) as launcher,
    ):
        where = home / (".local/state/rustok" if variable == "HOME" else "rustok")
        assert launcher.says.get("state_dir") == str(where)
        processes = with_children(launcher.says["pid"])
        assert {process.uids().effective for process in processes} == {ordinary_user.uid}

    assert all_gone(processes)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a passwd entry")
def test_a_uid_without_an_account_is_refused_by_postgres_only(subject: Subject, ordinary_user: OrdinaryUser) -> None:
    """Initdb needs a passwd entry: say so at once; Valkey needs none."""
    with (
        ordinary_user.home(54321) as home,
        ordinary_user.launch([subject.name], {"HOME": str(home)}, uid=54321) as launcher,
    ):
        assert launcher.says.get("code") == ("account_missing" if subject.name == "postgres" else None)
