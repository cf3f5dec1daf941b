"""The escape corpus in its modes: held by the policy, held by the kernel alone, and with each layer taken away."""

import asyncio
import os
import subprocess
from collections.abc import Iterator

import pytest

from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Compiled, Fault, Outcome
from rustok.sandbox.kernel import landlock_abi
from rustok.sandbox.layers import ALL_LAYERS
from tests.security.cases import HARMLESS, Case, corpus, prelude
from tests.security.stage import Witness, answer, ending, job, serves, unchecked

CASES = corpus()
CATEGORIES = sorted({case.category for case in CASES})
PUBLISHED = {"CVE-2023-37271", "CVE-2023-41039", "CVE-2024-47532", "CVE-2025-22153", "CVE-2026-55830", "CVE-2026-76825"}
"""RestrictedPython's, by its CHANGES up to 9.0."""
LIMITED = {"cpu_exceeded", "memory_exceeded", "wall_timeout", "output_too_large", "host_calls_exceeded"}
AT_A_TIME = 3


def test_the_corpus_is_large_distinct_and_holds_what_was_published() -> None:
    """At least 200 cases, none twice, every published escape of RestrictedPython among them."""
    assert len(CASES) >= 200
    assert len({(case.source, tuple(case.limits.items())) for case in CASES}) == len(CASES)
    assert {case.cve for case in CASES} >= PUBLISHED


@pytest.mark.parametrize("category", CATEGORIES)
async def test_the_policy_and_the_cage_hold_every_case(cage: Cage, witness: Witness, category: str) -> None:
    """First the language refuses it or not, then the kernel; the author is told what, and the next run is right."""
    cases = [case for case in CASES if case.category == category]

    wrong = await tried_together(cage, witness, cases, with_policy=True)

    assert wrong == []


@pytest.mark.parametrize("category", CATEGORIES)
async def test_without_the_policy_nothing_is_gained(cage: Cage, witness: Witness, category: str) -> None:
    """Raw Python in the cage: no file, process, socket or secret; and the next run is right."""
    cases = [case for case in CASES if case.category == category and case.off]

    wrong = await tried_together(cage, witness, cases, with_policy=False)

    assert wrong == []


async def tried_together(cage: Cage, witness: Witness, cases: list[Case], *, with_policy: bool) -> list[str]:
    """Try the cases, some at a time; return what was not as it should be."""
    turns = asyncio.Semaphore(AT_A_TIME)

    async def tried(case: Case) -> list[str]:
        async with turns:
            return await complaints(cage, witness, case, with_policy=with_policy)

    return [complaint for found in await asyncio.gather(*map(tried, cases)) for complaint in found]


async def complaints(cage: Cage, witness: Witness, case: Case, *, with_policy: bool) -> list[str]:
    outcome = await outcome_of(cage, witness, case, with_policy=with_policy)
    wanted, got = case.full if with_policy else case.off, ending(outcome)
    found = []
    if got not in wanted:
        found.append(f"{case}: {got}, not {' or '.join(sorted(wanted))}: {outcome}")
    if with_policy and case.line and outcome.fault and outcome.fault.line != case.line:
        found.append(f"{case}: line {outcome.fault.line}, not {case.line}")
    if HARMLESS in wanted and case.result is not None and got == HARMLESS and outcome.result != case.result:
        found.append(f"{case}: {outcome.result!r}, not {case.result!r}")
    if outcome.fault and not is_told(outcome.fault):
        found.append(f"{case}: the author is told too little: {outcome.fault}")
    if "gained" in str(outcome.result) or (touched := witness.saw()):
        found.append(f"{case}: gained {outcome.result} {touched}")
    if not await serves(cage):
        found.append(f"{case}: the run after it is wrong")
    return found


async def outcome_of(cage: Cage, witness: Witness, case: Case, *, with_policy: bool) -> Outcome:
    bytecode = await bytecode_of(cage, case.source, with_policy=with_policy)
    if isinstance(bytecode, Fault):
        return Outcome(fault=bytecode)
    return await cage.run(job(bytecode, witness.event, case.limits), answer)


async def bytecode_of(cage: Cage, source: str, *, with_policy: bool) -> bytes | Fault:
    if with_policy:
        compiled = await cage.compile(source)
        return compiled.bytecode if isinstance(compiled, Compiled) else compiled[0]
    try:
        return unchecked(source)
    except SyntaxError as error:
        return Fault(code="syntax_error", message=str(error), line=error.lineno)


def is_told(fault: Fault) -> bool:
    """A fault says what happened, and of a limit how much it is and how much was used."""
    if fault.code in LIMITED and (fault.limit is None or fault.used is None or fault.hint is None):
        return False
    return 0 < len(fault.message) <= 500


PROBES: dict[str, tuple[str, list[tuple[str, str]], str]] = {
    "a file is opened": (
        "os.open('/etc/passwd', 0)",
        [("seccomp", "killed"), ("namespaces", "ENOENT"), ("landlock", "EACCES")],
        "done",
    ),
    "the root is opened": ("os.open('/', 0)", [("seccomp", "killed"), ("landlock", "EACCES")], "done"),
    "a file is made": (
        "os.write(os.open(event['path'], os.O_CREAT | os.O_WRONLY), b'x')\nos.remove(event['path'])",
        [("seccomp", "killed"), ("namespaces", "ENOENT"), ("landlock", "EACCES"), ("rlimits", "EFBIG")],
        "done",
    ),
    "/proc is read": (
        "os.open('/proc/version', 0)",
        [("seccomp", "killed"), ("namespaces", "ENOENT"), ("landlock", "EACCES")],
        "done",
    ),
    "a socket is made": ("load('_socket').socket()", [("seccomp", "killed")], "done"),
    "a connection is made": (
        "load('_socket').socket().connect(('127.0.0.1', event['port']))",
        [("seccomp", "killed"), ("landlock", "EACCES"), ("namespaces", "ENETUNREACH")],
        "done",
    ),
    "a process is forked": (
        "pid = os.fork()\nif not pid: os._exit(0)\nos.waitpid(pid, 0)",
        [("seccomp", "killed"), ("rlimits", "EAGAIN")],
        "done",
    ),
    "a program is run": (
        "os.execv('/bin/true', ['true'])",
        [("seccomp", "killed"), ("namespaces", "ENOENT"), ("landlock", "EACCES")],
        "ended",
    ),
    "another process is signalled": (
        "os.kill(event['bystander'], 0)",
        [("seccomp", "killed"), ("namespaces", "ESRCH"), ("landlock", "EPERM")],
        "done",
    ),
    "the parent is traced": (
        "if libc.ptrace(16, os.getppid(), 0, 0): raise OSError(ctypes.get_errno(), '')",
        [("seccomp", "killed")],
        "EPERM",
    ),
    "pids of others are seen": (
        "if os.getppid() == 1: return 'alone'",
        [("seccomp", "killed"), ("namespaces", "alone")],
        "done",
    ),
    "root is asked for": ("os.setuid(0)", [("seccomp", "killed")], "EPERM"),
    "memory is made runnable": ("load('mmap').mmap(-1, 4096, prot=7)", [("seccomp", "killed")], "done"),
    "a file is made in memory": (
        "os.write(os.memfd_create('x', 0), b'x')",
        [("seccomp", "killed"), ("rlimits", "EFBIG")],
        "done",
    ),
    "too much memory is used": ("bytearray(90 << 20)", [("rlimits", "memory_exceeded")], "done"),
    "too much shared memory is used": ("load('mmap').mmap(-1, 200 << 20)", [("rlimits", "ENOMEM")], "done"),
    "the limit of memory is raised": (
        "resource = load('resource')\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        [("seccomp", "killed"), ("rlimits", "exception")],
        "done",
    ),
    "too much CPU time is used": ("while True: pass", [("cpu_timer", "cpu_exceeded")], "wall_timeout"),
    "the CPU timer is deleted": (
        "for timer in 0, 1: call({'x86_64': 226, 'aarch64': 111}, timer)\nwhile True: pass",
        [("seccomp", "killed")],
        "wall_timeout",
    ),
}
"""What a child does; the layers in its way, in the order in which they answer; what comes of it without them."""

REMOVED = [
    frozenset[str](),
    *(frozenset([layer]) for layer in sorted(ALL_LAYERS)),
    *(frozenset(["seccomp", layer]) for layer in sorted(ALL_LAYERS - {"seccomp"})),
    ALL_LAYERS,
]


@pytest.fixture(scope="module")
def bystander() -> Iterator[int]:
    """A process of the user that children have."""
    user = 65534 if os.geteuid() == 0 else None
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=user) as process:
        yield process.pid
        process.kill()


@pytest.mark.parametrize("removed", REMOVED, ids=lambda removed: f"without {', '.join(sorted(removed)) or 'nothing'}")
async def test_each_layer_holds_what_it_should_and_nothing_else_does(
    witness: Witness, bystander: int, removed: frozenset[str]
) -> None:
    """A probe meets the first layer left of those in its way; without any of them it gets through."""
    config = CageConfig(layers=ALL_LAYERS - removed, unsafe_dev=True, children=2, wait_s=60)
    async with Cage(config) as cage:
        left = {layer for layer, holds in cage.report.layers.items() if holds}

        answers = await asyncio.gather(
            *(probed(cage, witness, bystander, name, expected(name, left)) for name in PROBES)
        )

    assert dict(zip(PROBES, answers, strict=True)) == {name: expected(name, left) for name in PROBES}
    assert not left & removed


def expected(name: str, left: set[str]) -> str:
    _, in_the_way, otherwise = PROBES[name]
    if name == "another process is signalled" and landlock_abi() < 6:
        left = left - {"landlock"}  # it knows of signals from then on
    return next((said for layer, said in in_the_way if layer in left), otherwise)


async def probed(cage: Cage, witness: Witness, bystander: int, name: str, hoped: str) -> str:
    """Try the probe, and wait for its end only as long as what is *hoped* for takes."""
    tried = "\n".join(f"    {line}" for line in PROBES[name][0].splitlines())
    body = f"{prelude()}\ntry:\n{tried}\nexcept OSError as error:\n    return load('errno').errorcode[error.errno]"
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    source = f"async def handle(event, ctx):\n{lines}\n    return 'done'\n"
    event = {**witness.event, "bystander": bystander}
    limits = {"cpu_ms": 200, "wall_ms": 1500 if hoped == "wall_timeout" else 20_000}
    outcome = await cage.run(job(unchecked(source), event, limits), answer)
    witness.saw()
    if outcome.fault and outcome.fault.code == "policy_violation":
        return "ended" if "ended its process" in outcome.fault.message else "killed"
    return outcome.fault.code if outcome.fault else str(outcome.result)
