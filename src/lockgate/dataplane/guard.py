"""Starts a program that dies with its parent, however the parent dies. Run as a script: guard.py PROGRAM ARGS…

An Envoy whose supervisor was killed would serve its last configuration forever. On Linux the kernel kills the program
with its parent, and the program replaces this process. Elsewhere this process stays, and kills the program when the
pipe on its standard input closes, which only the supervisor holds open.

It is a separate script, because setting this up in a fork of a process with threads is not safe.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    program = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            return
        os.execv(program[0], program)  # noqa: S606  the program is Envoy, found by us
    child = subprocess.Popen(program, stdin=subprocess.DEVNULL)  # noqa: S603
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    if os.fork() == 0:
        while os.read(0, 1):
            pass
        child.kill()
        os._exit(0)
    sys.exit(child.wait())


if __name__ == "__main__":
    main()
