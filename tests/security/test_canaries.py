"""Secrets around a child: hostile code searches all that it can reach for them, and finds none but its own."""

import asyncio
import secrets
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Outcome
from tests.security.cases import prelude
from tests.security.stage import answer, job, unchecked

MARK = "canary" + "-"
SEARCH = """
import_re = load("re")
pattern = import_re.compile(b"canary" + b"-([0-9a-f]{32})")
gc = load("gc")
POOL, ARENA = 1 << 14, 1 << 20
found = set()
def look(at, length):
    found.update(pattern.findall(ctypes.string_at(at, length)))
def texts():
    for thing in gc.get_objects():
        for name in ("__dict__", "__doc__"):
            value = getattr(thing, name, None)
            if type(value) is dict:
                yield from (str(item) for item in list(value.values()) if type(item) in (str, bytes))
    frame = sys._getframe()
    while frame:
        yield from (str(value) for value in list(frame.f_locals.values()) if type(value) in (str, bytes, dict, list))
        frame = frame.f_back
    yield from map(str, os.environ.items())
    yield str(sys.argv + sys.orig_argv)
for text in texts():
    found.update(pattern.findall(text.encode("utf-8", "replace")))
id = real["id"]
pools = {id(thing) // POOL * POOL for thing in gc.get_objects()}
for value in list(sys.modules.values()):
    pools |= {id(item) // POOL * POOL for item in list(getattr(value, "__dict__", {}).values())}
for pool in pools:
    look(pool, POOL)
libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
low = min(libc.malloc(ctypes.c_size_t(size)) for size in (16, 64, 256, 1000, 5000))
high = libc.sbrk(ctypes.c_long(0))
if low < high:
    look(low, high - low)
strings = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
block = ctypes.c_void_p.in_dll(libc, "environ").value
look(block, 1024)
number = 0
while strings[number]:
    found.update(pattern.findall(strings[number]))
    number += 1
return [len(pools) > 50, sorted(item.decode() for item in found)]
"""
"""All objects, frames, pools of the allocator, the heap and the environment of a child, for the mark of a canary."""


def search(after: str = "") -> bytes:
    body = "\n".join(f"    {line}" for line in f"{prelude()}\n{after}\n{SEARCH}".splitlines())
    return unchecked(f"async def handle(event, ctx):\n{body}\n")


@pytest.fixture(scope="module")
def canary() -> str:
    return secrets.token_hex(16)


@pytest.fixture(scope="module")
def around(canary: str) -> Iterator[Mapping[str, Any]]:
    """A worker with the canary in its environment, memory, files, and on the command line of a process of its own."""
    secret = MARK + canary
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryFile() as file,
        subprocess.Popen(["/bin/cat", "-", f"/nowhere/{secret}"], stdin=subprocess.PIPE) as process,  # noqa: S603
    ):
        patch.setenv("RUSTOK_CANARY", secret)
        file.write(secret.encode())
        file.flush()
        yield {"kept": [secret] * 100, "file": file}
        process.kill()


@pytest.fixture(scope="module")
async def cage(around: Mapping[str, Any]) -> AsyncIterator[Cage]:
    """A cage that starts once the secrets are there."""
    assert around["kept"]
    async with Cage(CageConfig(wait_s=60)) as cage:
        yield cage


async def test_the_search_finds_what_a_run_holds_itself(cage: Cage, canary: str) -> None:
    """Else the tests below would show nothing."""
    outcome = await cage.run(job(search(), {"machine": "", "own": MARK + canary}), answer)

    assert outcome.result == [True, [canary]]


async def test_secrets_of_the_worker_are_not_in_its_children(cage: Cage, canary: str) -> None:
    """Its environment, memory, open files and command lines: the zygote was made by exec, of nothing."""
    outcome = await cage.run(job(search(), {"machine": ""}), answer)

    assert_clean(outcome, canary)


async def test_a_run_leaves_nothing_to_the_next_of_its_zygote(cage: Cage, canary: str) -> None:
    """Another tenant's event and answers were in a sibling that is gone."""
    secret = {"machine": "", "own": MARK + canary}
    for _ in range(8):
        earlier = await cage.run(job(unchecked("async def handle(event, ctx): return 1"), secret), answer)
        assert earlier.fault is None

    outcomes = [await cage.run(job(search(), {"machine": ""}, tenant="other"), answer) for _ in range(8)]

    for outcome in outcomes:
        assert_clean(outcome, canary)


async def test_a_run_sees_nothing_of_another_tenants_at_the_same_time(cage: Cage, canary: str) -> None:
    """Which waits for its host while the search runs."""
    asked, searched = asyncio.Event(), asyncio.Event()

    async def slow(name: str, arguments: Mapping[str, Any]) -> Any:
        asked.set()
        await searched.wait()
        return await answer(name, arguments)

    hook = unchecked("async def handle(event, ctx): return await ctx.kv.get(event['own'])")
    running = asyncio.create_task(cage.run(job(hook, {"own": MARK + canary}, tenant="victim"), slow))
    await asked.wait()

    outcome = await cage.run(job(search(), {"machine": ""}, tenant="thief"), answer)
    searched.set()

    assert_clean(outcome, canary)
    assert (await running).result == {"key": MARK + canary}


@pytest.mark.parametrize(
    "attempt",
    [
        "return open('/proc/self/environ').read()",
        "return open('/proc/1/environ').read()",
        "return open('/proc/1/cmdline').read()",
        "return open(f'/proc/{os.getppid()}/mem', 'rb').read(9)",
        "return [os.read(fd, 99).decode() for fd in range(4, 64)]",
        "return os.pread(3, 99, 0).decode()",
        "raise ValueError(open('/proc/self/environ').read())",
        "ctx.log(os.popen('env').read())",
    ],
)
async def test_no_way_to_other_processes_tells_a_secret(cage: Cage, canary: str, attempt: str) -> None:
    """Neither result, log nor message of the fault holds any."""
    outcome = await cage.run(job(search(attempt), {"machine": ""}), answer)

    assert outcome.fault is not None
    assert canary not in repr(outcome)


async def test_a_fault_and_a_log_tell_nothing_of_the_host(cage: Cage) -> None:
    """No path of the platform, no variable of its environment: frames of the hook only."""
    hook = unchecked("async def handle(event, ctx):\n    ctx.log(ctx)\n    ctx.get()\n")

    outcome = await cage.run(job(hook, {}), answer)

    assert outcome.fault is not None
    assert outcome.fault.line == 3
    assert "rustok/" not in repr(outcome)
    assert ".py" not in repr(outcome)


def assert_clean(outcome: Outcome, canary: str) -> None:
    assert outcome.fault is None, outcome
    assert outcome.result == [True, []]
    assert canary not in repr(outcome)
