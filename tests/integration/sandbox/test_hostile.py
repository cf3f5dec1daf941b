"""Hooks that no policy has read: what they reach is worth nothing."""

from collections.abc import Mapping
from typing import Any

import pytest

from rustok.sandbox.cage import Cage
from tests.integration.sandbox.hooks import job, raw, run, run_raw

ASKS_THE_SYSTEM = {
    "a shell": "reach(ctx).system('id')",
    "a process": "reach(ctx).fork()",
    "a program": "reach(ctx).execv('/bin/sh', ['sh'])",
    "a file": "reach(ctx).open('/etc/passwd', 0)",
    "a directory": "reach(ctx).listdir('/')",
    "a new file": "module(ctx, 'builtins').open('/tmp/x', 'w')",
    "its own memory": "module(ctx, 'builtins').open('/proc/self/mem', 'rb')",
    "a socket": "module(ctx, '_socket').socket()",
    "a pair of sockets": "module(ctx, '_socket').socketpair()",
    "a pipe": "reach(ctx).pipe()",
    "another descriptor": "reach(ctx).write(2, b'x')",
    "a copy of its socket": "reach(ctx).dup(3)",
    "the end of its socket": "reach(ctx).close(3)",
    "its number": "reach(ctx).getpid()",
    "the end of another": "reach(ctx).kill(1, 9)",
    "its limits": "module(ctx, 'resource').setrlimit(9, (1, 1))",
    "ptrace": "module(ctx, 'rustok.sandbox.kernel')._libc.ptrace(16, 1, 0, 0)",
    "its filter": "module(ctx, 'rustok.sandbox.kernel').prctl(22, 0)",
    "its timers": "module(ctx, 'rustok.sandbox.kernel').CpuTimer(9).arm(99.0)",
    "namespaces": "module(ctx, 'rustok.sandbox.kernel').unshare(0x10000000)",
    "a thread": "module(ctx, '_thread').start_new_thread(print, ())",
    "sleep": "module(ctx, 'time').sleep(1)",
    "memory to execute": "module(ctx, 'mmap').mmap(-1, 4096, prot=7)",
}


@pytest.mark.parametrize("body", ASKS_THE_SYSTEM.values(), ids=ASKS_THE_SYSTEM.keys())
async def test_what_asks_the_system_dies_of_it(cage: Cage, body: str) -> None:
    """The kernel ends the child before anything happens."""
    outcome = await run_raw(cage, f"try:\n    {body}\nexcept Exception:\n    pass\nreturn 'went on'")

    assert outcome.fault is not None
    assert outcome.fault.code == "policy_violation"


SPEAKS_ITSELF = {
    "nothing": "reach(ctx)._exit(0)",
    "noise": "reach(ctx).write(3, b'\\xff' * 99)",
    "a call without an end": "reach(ctx).write(3, b'\\xff\\xff\\xff\\x7f\\x11')",
    "a call that is too long": "reach(ctx).write(3, b'\\1\\0\\1\\0\\x11')",
    "a second line": "reach(ctx).write(3, b'\\1\\0\\0\\0\\x127' * 2)",
    "a kind of the host's": "reach(ctx).write(3, b'\\x02\\0\\0\\0\\x02{}')",
    "ready again": "reach(ctx).write(3, b'\\x02\\0\\0\\0\\x10{}')",
    "a call without a name": "reach(ctx).write(3, b'\\x02\\0\\0\\0\\x11{}')",
    "half a frame": "reach(ctx).write(3, b'\\x02\\0\\0\\0\\x13{')\nreach(ctx)._exit(0)",
}


@pytest.mark.parametrize("body", SPEAKS_ITSELF.values(), ids=SPEAKS_ITSELF.keys())
async def test_what_speaks_in_the_name_of_its_child_is_told_from_it(cage: Cage, body: str) -> None:
    """It is ended, and its script is to blame."""
    outcome = await run_raw(cage, f"{body}\nwhile True:\n    pass")

    assert outcome.fault is not None
    assert outcome.fault.code == "policy_violation"


_REST = b'"output_bytes":1,"log_bytes":1,"usage":{"cpu_us":1,"peak_bytes":1}}'
FORGED = {
    "no JSON": b"{",
    "no object": b"[]",
    "NaN": b'{"result":NaN,"effects":[],"logs":[],' + _REST,
    "effects of another type": b'{"result":1,"effects":{},"logs":[],' + _REST,
    "no usage": b'{"result":1,"effects":[],"logs":[],"output_bytes":1,"log_bytes":1}',
    "a fault of the host's": b'{"effects":[],"logs":[],"fault":{"code":"sandbox_unavailable","message":"x"},' + _REST,
}


@pytest.mark.parametrize("payload", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_result_is_invalid(cage: Cage, payload: bytes) -> None:
    """Nothing of it is taken."""
    frame = len(payload).to_bytes(4, "little") + b"\x13" + payload

    outcome = await run_raw(cage, f"reach(ctx).write(3, {frame!r})")

    assert outcome.fault is not None
    assert outcome.fault.code == "invalid_result"


async def test_a_forged_result_is_counted_again(cage: Cage) -> None:
    """The child's own counting is not believed."""
    payload = b'{"result":"' + b"x" * 1000 + b'","effects":[],"logs":[{"a":"' + b"y" * 100
    payload += b'"}],"output_bytes":1,"log_bytes":1,"usage":{"cpu_us":1,"peak_bytes":1}}'
    frame = len(payload).to_bytes(4, "little") + b"\x13" + payload

    outcome = await run_raw(cage, f"reach(ctx).write(3, {frame!r})", output_bytes=500, log_bytes=50)

    assert outcome.fault is not None
    assert (outcome.fault.code, outcome.fault.limit, outcome.fault.used) == ("output_too_large", 500, 1002)
    assert (outcome.logs, outcome.log_truncated) == ([], True)


async def test_a_result_that_is_too_long_is_not_even_read(cage: Cage) -> None:
    """Its length says enough; the author is told that."""
    outcome = await run_raw(cage, "reach(ctx).write(3, b'\\0\\0\\x40\\0\\x13')\nwhile True:\n    pass")

    assert outcome.fault is not None
    assert (outcome.fault.code, outcome.fault.limit, outcome.fault.used) == ("output_too_large", 256 << 10, 4 << 20)


async def test_a_call_of_too_many_parts_is_a_violation(cage: Cage) -> None:
    """The child's own runtime would not have sent it: the host call is never made."""
    asked: list[str] = []

    async def answer(name: str, _arguments: Mapping[str, Any]) -> None:
        asked.append(name)

    call = 'b\'{"call":"kv.get","arguments":{"key":[\' + b\'0,\' * 20_000 + b\'0]}}\''
    send = (
        f"call = {call}\nreach(ctx).write(3, len(call).to_bytes(4, 'little') + b'\\x11' + call)\nawait ctx.kv.get('k')"
    )

    outcome = await cage.run(job(raw(send)), answer)

    assert outcome.fault is not None
    assert outcome.fault.code == "policy_violation"
    assert asked == []


async def test_what_a_child_says_that_it_used_is_believed_within_its_limits(cage: Cage) -> None:
    """It could not have used more: no lie reaches the metrics."""
    payload = b'{"result":1,"effects":[],"logs":[],"output_bytes":1,"log_bytes":1,'
    payload += b'"usage":{"cpu_us":9000000000000000,"peak_bytes":9000000000000000}}'
    frame = len(payload).to_bytes(4, "little") + b"\x13" + payload

    outcome = await run_raw(cage, f"reach(ctx).write(3, {frame!r})")

    assert outcome.result == 1
    assert outcome.usage.cpu_ms <= min(outcome.usage.wall_ms, 550)
    assert outcome.usage.peak_bytes <= 1.1 * (64 << 20)


async def test_a_child_that_breaks_each_time_is_no_violation(cage: Cage) -> None:
    """It may be ours, so others try; it is told in the end, or it would be tried for ever."""
    outcome = await run_raw(cage, "reach(ctx)._exit(72)")

    assert outcome.fault is not None
    assert outcome.fault.code == "exception"


async def test_calls_are_counted_by_the_host(cage: Cage) -> None:
    """A child that asks by itself has no more of them."""
    call = b'{"call":"kv.get","arguments":{}}'
    frame = len(call).to_bytes(4, "little") + b"\x11" + call

    outcome = await run_raw(cage, f"while True:\n    reach(ctx).write(3, {frame!r})", host_calls=5)

    assert outcome.fault is not None
    assert (outcome.fault.code, outcome.fault.used) == ("host_calls_exceeded", 6)


async def test_a_child_that_does_not_listen_is_ended(cage: Cage) -> None:
    """Waiting to be heard is wall time."""
    call = b'{"call":"kv.get","arguments":{}}'
    frame = len(call).to_bytes(4, "little") + b"\x11" + call

    outcome = await run_raw(cage, f"reach(ctx).write(3, {frame!r})\nwhile True:\n    pass", wall_ms=200)

    assert outcome.fault is not None
    assert outcome.fault.code == "wall_timeout"


async def test_a_limit_cannot_be_taken_back(cage: Cage) -> None:
    """Even where a hook has caught the last warning."""
    outcome = await run_raw(
        cage,
        "while True:\n    try:\n        1 / 0\n    except:\n        pass",
    )

    assert outcome.fault is not None
    assert outcome.fault.code == "cpu_exceeded"
    assert (await run(cage, "return 1")).result == 1
