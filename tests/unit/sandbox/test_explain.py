"""Whose fault the end of a child is."""

import signal

import pytest

from rustok.sandbox.contract import Limits
from rustok.sandbox.explain import broken_again, death_fault
from rustok.sandbox.leased import Death
from rustok.sandbox.wire import BROKEN_EXIT, OUT_OF_MEMORY_EXIT

_LIMITS = Limits(cpu_ms=500, memory_bytes=1000)


@pytest.mark.parametrize("number", [1, 2, 3, 9, 10, 12, 13, 14, 15, 34])
def test_a_signal_that_no_script_can_send_is_not_its_fault(number: int) -> None:
    """SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGRTMIN: run it again."""
    assert death_fault(Death(number, cpu_us=1000, peak_bytes=0), _LIMITS, None) is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (signal.SIGSYS, "policy_violation"),
        (signal.SIGSEGV, "exception"),
        (signal.SIGTRAP, "exception"),
        (OUT_OF_MEMORY_EXIT << 8, "memory_exceeded"),
        (0, "policy_violation"),
        (1 << 8, "policy_violation"),
    ],
)
def test_what_a_script_brings_upon_itself_is_its_fault(status: int, code: str) -> None:
    """By what it did or used."""
    fault = death_fault(Death(status, cpu_us=1000, peak_bytes=0), _LIMITS, None)

    assert fault is not None
    assert fault.code == code


def test_a_kill_is_the_timers_where_the_time_was_used() -> None:
    """From nine tenths on."""
    fault = death_fault(Death(signal.SIGKILL, cpu_us=450_000, peak_bytes=0), _LIMITS, 7)

    assert fault is not None
    assert (fault.code, fault.limit, fault.used, fault.line) == ("cpu_exceeded", 500, 450, 7)


def test_a_kill_for_memory_is_told_as_that() -> None:
    """The one from the host, where the child's own limit had not held."""
    fault = death_fault(Death(signal.SIGKILL, cpu_us=0, peak_bytes=5000, is_overgrown=True), _LIMITS, None)

    assert fault is not None
    assert (fault.code, fault.limit, fault.used) == ("memory_exceeded", 1000, 5000)


def test_a_child_that_breaks_is_our_failure_until_others_break_too() -> None:
    """No violation in any case."""
    death = Death(BROKEN_EXIT << 8, cpu_us=0, peak_bytes=0)

    again = broken_again(death)

    assert death_fault(death, _LIMITS, None) is None
    assert again is not None
    assert again.code == "exception"
    assert broken_again(Death(signal.SIGTERM, cpu_us=0, peak_bytes=0)) is None
