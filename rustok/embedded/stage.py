"""Become a server that dies with its launcher: ``stage.py LAUNCHER DEATH_SIGNAL UID:GID|- COMMAND...``.

It drops privileges, asks the kernel for a signal when the launcher dies, and executes the command.
A program of its own because ``preexec_fn`` runs Python after a fork and can deadlock beside threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, death_signal: int, account: str, command: list[str]) -> None:
    if account != "-":
        uid, gid = map(int, account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid: a change of credentials clears it.
        if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            sys.exit("prctl(PR_SET_PDEATHSIG) failed")
        # The launcher may have died before prctl: then no signal would ever come.
        if os.getppid() != parent:
            sys.exit("the launcher died")
    # Python ignores it, and an ignored signal survives exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
