"""Runs a user's program that renders manifests, and reads its output: within limits, and without a shell."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

TIMEOUT = 20.0  # seconds, including the download of a remote base
MAX_OUTPUT = 32 * 1024 * 1024  # bytes
_MAX_ERRORS = 64 * 1024


class ToolFailed(Exception):
    """A program did not print manifests. The message is one line."""


@dataclass(slots=True)
class _Pipe:
    limit: int
    data: bytearray

    def take(self, data: bytes) -> bool:
        """Whether it is still within its limit."""
        self.data += data[: self.limit + 1 - len(self.data)]
        return len(self.data) <= self.limit


def run(command: Sequence[str], *, timeout: float = TIMEOUT) -> bytes:
    """A program's output. It gets no input, and a separate process group that ends with it. Raises ToolFailed."""
    try:
        process = subprocess.Popen(  # noqa: S603  no shell: the arguments are a list
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolFailed(error.strerror or str(error)) from None
    output, errors = _Pipe(MAX_OUTPUT, bytearray()), _Pipe(_MAX_ERRORS, bytearray())
    try:
        _read(process, output, errors, time.monotonic() + timeout)
    except TimeoutError:
        raise ToolFailed(f"no end after {timeout:.0f} s") from None
    finally:
        _end(process)
    if process.returncode != 0:
        raise ToolFailed(_reason(errors.data) or f"exit code {process.returncode}")
    return bytes(output.data)


def _read(process: subprocess.Popen[bytes], output: _Pipe, errors: _Pipe, deadline: float) -> None:
    """Reads until the program has closed both pipes and ended. Raises TimeoutError, ToolFailed."""
    with selectors.DefaultSelector() as waiting:
        for stream, pipe in ((process.stdout, output), (process.stderr, errors)):
            assert stream is not None
            waiting.register(stream, selectors.EVENT_READ, pipe)
        while waiting.get_map():
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            for key, _ in waiting.select(left):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    waiting.unregister(key.fileobj)
                elif not key.data.take(data) and key.data is output:
                    raise ToolFailed(f"it prints more than {MAX_OUTPUT // 2**20} MiB")
    try:
        process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and its children."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def _reason(errors: bytearray) -> str:
    """One line of the error output: the last paragraph, because warnings come first."""
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    start = next((n for n, line in reversed(list(enumerate(lines))) if line.lower().startswith("error")), 0)
    text = " ".join(lines[start:])
    for prefix in ("Error: ", "error: "):
        text = text.removeprefix(prefix)
    text = text.removesuffix("Use --debug flag to render out invalid YAML").strip()  # helm's advice
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


_LONGEST = 400  # characters
