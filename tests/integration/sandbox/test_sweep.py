"""Every system call there is, asked of the real kernel under the filter of a child."""

import json
import subprocess
import sys

from rustok.sandbox.kernel import architecture
from rustok.sandbox.seccomp import PLAIN

_SWEEP = """
import ctypes, json, os, signal
from rustok.sandbox import kernel, seccomp

fence = kernel.Filter(seccomp.child_filter(kernel.architecture()))
libc = ctypes.CDLL(None)
lived = []
for number in range(1024):
    child = os.fork()
    if not child:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        fence.install()
        libc.syscall(ctypes.c_long(number), 0, 0, 0, 0, 0, 0)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS):
        lived.append(number)
print(json.dumps(lived))
"""
_UPROBES = {335, 336}
"""The kernel lets them by before it asks a filter (x86-64); outside of a probe they do nothing but crash who calls."""


def test_all_calls_but_those_of_the_list_kill() -> None:
    """From 0 to 1023."""
    done = subprocess.run([sys.executable, "-c", _SWEEP], capture_output=True, text=True, check=True, timeout=100)  # noqa: S603

    numbers = architecture().numbers
    allowed = {numbers[name] for name in (*PLAIN, "mprotect", "getrusage")}
    assert set(json.loads(done.stdout)) - _UPROBES == allowed - _UPROBES
