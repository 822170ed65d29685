"""Where a running edge keeps its files, and the lock that makes it the only one of its name.

<state>/<name>/lock          held while the edge runs; the kernel releases it however the supervisor ends
              /edge.json     pid, from the first moment; addresses and the dummy AWS key, once everything listens
              /log           what `lockgate logs` prints
              /kubeconfig, /ca.pem, /aws-credentials
              /run/          sockets, Envoy's bootstrap and logs, server certificates
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate.errors import CommandError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_WRITTEN = 2.0  # s in which a process that holds the lock has written its pid
_SOCKET_PATH_LIMIT = 104  # bytes with the closing NUL, on macOS; Linux has 108


class BadName(ValueError):
    """An edge's name is not one."""


class AlreadyRunning(CommandError):
    """Another supervisor holds the name."""

    hint = "stop it with `lockgate down`, or give this one another --name"

    def __init__(self, name: str, pid: int | None) -> None:
        super().__init__(f"the edge {name!r} is already running" + (f" (pid {pid})" if pid else ""))
        self.name = name
        self.pid = pid


class Starting(CommandError):
    """The edge is starting: it has no addresses yet."""

    hint = "try again in a moment; `lockgate up --detach` returns when it is ready"

    def __init__(self, name: str) -> None:
        super().__init__(f"the edge {name!r} is still starting")
        self.name = name


class NotRunning(CommandError):
    """No supervisor holds the name."""

    hint = "start one with `lockgate up PATH…`"

    def __init__(self, name: str) -> None:
        super().__init__(f"no edge {name!r} is running")
        self.name = name


def root() -> Path:
    """The folder of all edges' states: LOCKGATE_HOME, or the XDG state folder."""
    if home := os.environ.get("LOCKGATE_HOME"):
        return Path(home)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "lockgate"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """One edge's folder."""

    name: str
    path: Path

    @staticmethod
    def of(name: str) -> StateFolder:
        """Raises `BadName`."""
        if not _NAME.fullmatch(name):
            raise BadName(f"{name!r} is not a name for an edge: lower-case letters, digits and - only, at most 40")
        return StateFolder(name, root() / name)

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def ca_bundle(self) -> Path:
        return self.path / "ca.pem"

    @property
    def webhook_certificates(self) -> Path:
        """For the webhooks of an AWS Load Balancer Controller that runs outside."""
        return self.path / "webhook-certs"

    @property
    def run(self) -> Path:
        """For sockets, too: where the folder's own path is too long for them, one beside the temporary files."""
        run = self.path / "run"
        longest = len(os.fsencode(run / "gateway-00000000.admin.sock"))
        if longest < _SOCKET_PATH_LIMIT:
            return run
        return Path(tempfile.gettempdir()) / f"lockgate-{os.getuid()}-{self.name}"

    @property
    def control_socket(self) -> Path:
        return self.run / "control.sock"

    def read(self) -> dict[str, Any]:
        """What the supervisor wrote about itself. Raises `NotRunning`, and `Starting` while it has no addresses."""
        about = self._about()
        if "addresses" not in about:
            raise Starting(self.name)
        return about

    def pid(self) -> int:
        """The supervisor's, from the moment it has the name. Raises `NotRunning`."""
        pid = self._about().get("pid")
        if not isinstance(pid, int):
            raise NotRunning(self.name)
        return pid

    def _holder(self) -> int | None:
        with suppress(NotRunning):
            return self.pid()
        return None

    def _about(self) -> dict[str, Any]:
        deadline = time.monotonic() + _WRITTEN
        while self.held():
            try:
                about = json.loads((self.path / "edge.json").read_text())
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    raise NotRunning(self.name) from error
                time.sleep(0.01)
                continue
            assert isinstance(about, dict)
            return about
        raise NotRunning(self.name)

    def write(self, about: dict[str, Any]) -> None:
        write_private(self.path / "edge.json", json.dumps(about, indent=2))

    def held(self) -> bool:
        """Whether a supervisor runs under this name."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def take(self) -> int:
        """Take the name: the lock's descriptor, which a child may inherit. From here on the other commands see this
        process as the edge. Raises `AlreadyRunning`."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.claim(os.getpid())
        except BlockingIOError as error:
            os.close(descriptor)
            raise AlreadyRunning(self.name, self._holder()) from error
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def claim(self, pid: int) -> None:
        """Write down whom to stop, for as long as the edge starts."""
        self.write({"name": self.name, "pid": pid})

    @contextmanager
    def hold(self, lock: int | None = None) -> Iterator[None]:
        """Be the one supervisor of this name. Removes what an earlier one left, and in the end what this one leaves.

        `lock` is the descriptor of a parent that has taken the name. Raises `AlreadyRunning`.
        """
        descriptor = self.take() if lock is None else lock
        try:
            self.claim(os.getpid())
            self._clear("lock", "log", "edge.json")
            self.run.mkdir(mode=0o700, exist_ok=True)
            if self.run.stat().st_uid != os.getuid():
                raise PermissionError(f"{self.run} belongs to another user")
            try:
                yield
            finally:
                self._clear("lock", "log")
        finally:
            os.close(descriptor)

    def clear(self) -> None:
        """Remove what a killed supervisor left, unless another one runs by now."""
        if (self.path / "edge.json").exists():
            with suppress(AlreadyRunning), self.hold():
                pass

    def _clear(self, *kept: str) -> None:
        """Remove everything but `kept`. The log stays, since it says why an edge ended."""
        shutil.rmtree(self.run, ignore_errors=True)
        for entry in self.path.iterdir():
            if entry.name in kept:
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def edges() -> list[StateFolder]:
    """All edges that run now, by name."""
    try:
        names = sorted(entry.name for entry in root().iterdir() if _NAME.fullmatch(entry.name))
    except FileNotFoundError:
        return []
    return [folder for name in names if (folder := StateFolder.of(name)).held()]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
