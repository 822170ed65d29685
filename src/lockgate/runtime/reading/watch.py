"""Detects changes of files below the user's paths, by whatever tool.

A change is a difference between two scans of the disk (`tree`). Three things trigger a scan:

- The system's notifier, within about 20 ms. It watches folders, not names: if a folder is replaced, it keeps watching
the old one. So it restarts whenever the folders have changed. - A poll of what the notifier may miss: whether the paths
exist, and where symbolic links lead. - A poll of everything, for network file systems, and for systems without free
watches.

The pause after a poll is proportional to its cost: polling takes half a percent of a CPU, or one percent without
notifier.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from lockgate.runtime.reading import tree

log = logging.getLogger("lockgate.runtime")

_STEP, _DEBOUNCE = 20, 400  # ms; a burst of events ends after a step without one, or after the debounce
_NEAR, _FAR = 0.25, 2.0  # seconds between polls of what the notifier cannot see, and of everything
_REST, _REST_ALONE = 400, 100  # minimum pause as a multiple of a poll's cost; and without a notifier
_SLOW = 20  # seconds of disk wait that count as one second of CPU

Arguments = ParamSpec("Arguments")
Seen = TypeVar("Seen")


class Watcher:
    """An async context manager; `tree` is the result of the last scan. `warn` gets a line for the user."""

    def __init__(self, paths: Sequence[str], *, warn: Callable[[str], None] = log.warning) -> None:
        self._paths = tuple(path for path in paths if not tree.is_stream(path))
        self._sources: frozenset[str] = frozenset()
        self.tree = tree.read(self._paths)
        self._warn = warn
        self._hint = asyncio.Event()
        self._notifier: _Notifier | None = None
        self._warned = False
        self._near_due = self._far_due = self._rested = 0.0

    async def __aenter__(self) -> Self:
        await self._follow_folders()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._notifier:
            self._notifier.stop()

    def follow(self, sources: frozenset[str]) -> None:
        """Also watches these, the sources of renderings, from the next scan on."""
        if sources != self._sources:
            self._sources = sources
            self._hint.set()

    async def changed(self, within: float | None = None) -> bool:
        """Waits until something differs from `tree`, at most `within` seconds; returns whether it does."""
        deadline = None if within is None else time.monotonic() + within
        while True:
            if await self._scan():
                return True
            wake = min(self._near_due, self._far_due, *([] if deadline is None else [deadline]))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hint.wait(), max(wake - time.monotonic(), 0.0))
            if deadline is not None and time.monotonic() >= deadline and not self._hint.is_set():
                return False

    async def _scan(self) -> bool:
        """Scans the disk if there is a reason to."""
        rest = _REST if self._notifier else _REST_ALONE
        if not self._hint.is_set() and (now := time.monotonic()) < self._far_due:
            if now < self._near_due:
                return False
            near = [*self._roots(), *self.tree.distant]
            current, cost = await asyncio.to_thread(_measured, self.tree.is_current, near)
            self._near_due = time.monotonic() + max(_NEAR, rest * cost)
            if current:
                return False
        await asyncio.sleep(max(self._rested - time.monotonic(), 0.0))
        self._hint.clear()
        before = self.tree
        self.tree, cost = await asyncio.to_thread(_measured, tree.read, self._paths, self._sources)
        self._rested = time.monotonic() + cost
        self._far_due = time.monotonic() + max(_FAR if self._notifier else _NEAR, rest * cost)
        if self.tree.identities != before.identities:
            await self._follow_folders()
        return self.tree != before

    def _roots(self) -> list[str]:
        return [path if path in self.tree.files else str(PurePath(path)) for path in self._paths]

    async def _follow_folders(self) -> None:
        """Watches the current folders."""
        if self._notifier:
            self._notifier.stop()
            self._notifier = None
        named = [each for each in self._roots() if each not in self.tree.folders]
        named += [str(Path(each).resolve()) for each in self.tree.distant if each in self.tree.files]
        loop = asyncio.get_running_loop()

        def notice() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._hint.set)

        try:
            self._notifier = await asyncio.to_thread(_Notifier, self.tree.folders, named, notice)
        except FileNotFoundError:
            pass  # a folder was deleted, which the next scan detects
        except (OSError, RuntimeError) as error:
            if not self._warned:
                self._warned = True
                self._warn(f"the system does not report changes of the files, so they are polled: {error}")
        self._hint.set()  # for what was changed before the notifier saw it


def _measured(
    look: Callable[Arguments, Seen], *arguments: Arguments.args, **named: Arguments.kwargs
) -> tuple[Seen, float]:
    """The result, and its cost in seconds of CPU; a slow disk counts, too."""
    began, used = time.monotonic(), time.thread_time()
    seen = look(*arguments, **named)
    return seen, max(time.thread_time() - used, (time.monotonic() - began) / _SLOW)


class _Notifier:
    """A thread that calls `notice` on events in one of the `folders`, or for one of the `files` elsewhere.

    A file's folder is watched, because editors replace the file. Raises OSError, RuntimeError if the system has no
    watches left.
    """

    def __init__(self, folders: Iterable[str], files: Iterable[str], notice: Callable[[], None]) -> None:
        from watchfiles._rust_notify import RustNotify

        self._folders = {Path(folder).absolute() for folder in folders}
        self._files = {Path(file).absolute() for file in files}
        self._notice = notice
        self._stopped = threading.Event()
        followed = self._folders | {file.parent for file in self._files}
        readable = [str(folder) for folder in followed if os.access(folder, os.R_OK | os.X_OK)]
        self._events = RustNotify(readable, False, False, 0, False, False)
        threading.Thread(target=self._listen, name="file notifier", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _listen(self) -> None:
        with self._events as events:
            while isinstance(found := events.watch(_DEBOUNCE, _STEP, 0, self._stopped), set):
                if any(self._matters(Path(path)) for _, path in found):
                    self._notice()

    def _matters(self, path: Path) -> bool:
        """False for what editors and git keep in hidden files; True for the ``..data`` of a mounted ConfigMap."""
        hidden = path.name.startswith(".") and not path.name.startswith("..")
        return path in self._files or (path.parent in self._folders and not hidden) or path in self._folders
