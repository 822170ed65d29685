"""`up --detach`: a supervisor that outlives its command, and the command's wait for the outcome.

The child runs the same command line with its parent's terminal as output, so that both kinds of `up` print the same.
The parent takes the edge's lock before it starts the child, and passes it on: `down` and a second `up` see the edge
from the first moment. The child reports the outcome as one word through a pipe, and releases the terminal.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lockgate.errors import CommandError
from lockgate.runtime.state import StateFolder
from lockgate.runtime.stopping import end

READY, NOT_READY = b"ready", b"not ready"

_VARIABLE = "LOCKGATE_DETACHED"  # descriptors of the lock and of the pipe
_GRACE = 30.0  # s beyond the patience, in which even a busy machine has started and reported


class NoOutcome(CommandError):
    """A detached supervisor reported nothing, and was stopped."""

    hint = "`lockgate logs` has what it did"


class EndedEarly(CommandError):
    """A detached supervisor was stopped, by `lockgate down` or a signal, before there was an outcome."""


@dataclass(frozen=True, slots=True)
class Parent:
    """A detached supervisor's connection to its parent: the lock, and the pipe for the outcome."""

    lock: int
    pipe: int

    def report(self, word: bytes) -> None:
        """Reports the outcome and releases the terminal, so that readers of the command's output see its end."""
        with suppress(OSError):  # the command was interrupted
            os.write(self.pipe, word)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.close(nowhere)
        os.close(self.pipe)


def parent(environment: MutableMapping[str, str]) -> Parent | None:
    """The parent, if this is a detached supervisor. Removes the variable, since programs inherit the environment."""
    said = environment.pop(_VARIABLE, "")
    lock, _, pipe = said.partition(",")
    if not (lock.isdecimal() and pipe.isdecimal()):
        return None
    for descriptor in (int(lock), int(pipe)):
        os.set_inheritable(descriptor, False)
    return Parent(int(lock), int(pipe))


def detach(
    folder: StateFolder, arguments: Sequence[str], *, patience: float, environment: Mapping[str, str] = os.environ
) -> int:
    """Starts a supervisor with the same command line, and waits for the outcome: the exit code.

    An exception stops the supervisor: Ctrl-C, SIGTERM, or no outcome in time. Raises `AlreadyRunning`, `NoOutcome`,
    `EndedEarly`.
    """
    reading, writing = os.pipe()
    with _postponed_signals() as arrived:  # one that arrives in between must not lose the supervisor
        lock = folder.take()
        try:
            process = subprocess.Popen(  # noqa: S603  our own command again
                [sys.executable, "-P", "-m", "lockgate", *arguments],
                stdin=None if {"-", "/dev/stdin"} & {*arguments} else subprocess.DEVNULL,  # manifests may come that way
                env={**environment, _VARIABLE: f"{lock},{writing}"},
                pass_fds=(lock, writing, *_piped(arguments)),
                start_new_session=True,
            )
        finally:
            os.close(lock)
            os.close(writing)
    try:
        if arrived:
            signal.raise_signal(arrived[0])
        return _outcome(process, reading, time.monotonic() + patience + _GRACE)
    except BaseException:
        if process.poll() is None:
            end(process.pid, lambda: process.poll() is not None)
            folder.clear()
        raise
    finally:
        os.close(reading)


def _piped(arguments: Sequence[str]) -> Iterator[int]:
    """The pipes that a shell opened for `<(command)`."""
    for argument in arguments:
        if match := re.fullmatch(r"/dev/fd/([0-9]+)", argument):
            with suppress(OSError):
                os.fstat(int(match[1]))
                yield int(match[1])


@contextmanager
def _postponed_signals() -> Iterator[list[int]]:
    """The signals that arrived meanwhile, for the caller to raise again."""
    arrived: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda received, _frame: arrived.append(received)) for number in numbers]
    try:
        yield arrived
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _outcome(process: subprocess.Popen[bytes], pipe: int, deadline: float) -> int:
    if not select.select([pipe], [], [], max(deadline - time.monotonic(), 0.0))[0]:
        raise NoOutcome("the edge does not report whether it is ready, and was stopped")
    word = os.read(pipe, 64)
    if word == READY:
        return 0
    if word == NOT_READY:
        return 1
    code = process.wait()
    if code < 0 or code > 128:
        raise EndedEarly("the edge was stopped before it was ready")
    return code or 1  # it has reported why
