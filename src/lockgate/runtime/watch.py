"""Notices when files below the user's paths change, whatever tool changes them.

What counts is the difference between two looks at the disk (`tree`). Three things cause a look:

- The system's notifier, within some 20 ms. It follows folders, not names: when a folder is replaced by another of the
  same name, it goes on following the old one. So it starts again whenever the folders are no longer the same.
- A poll of what the notifier cannot see: the paths themselves, and what is beyond symbolic links.
- A poll of everything, for file systems that other machines write to, and for systems that ran out of notifiers.

A poll that took long waits long, so that polling costs half a percent of a CPU at most.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from types import TracebackType
from typing import Self

from lockgate.runtime import files, tree

log = logging.getLogger("lockgate.runtime")

_STEP, _DEBOUNCE = 20, 400  # ms; a burst of events ends after a step without one, or after the debounce
_NEAR, _FAR = 0.25, 2.0  # s between polls of what the notifier cannot see, and of everything
_REST = 200  # times as long as a poll took, at least


class Watcher:
    """An async context manager; `tree` is what was on disk at the last look."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(path for path in paths if not files.is_stream(path))
        self.tree = tree.read(self._paths)
        self._hint = asyncio.Event()
        self._notifiers: list[_Notifier] = []
        self._near_due = self._far_due = self._rested = 0.0

    async def __aenter__(self) -> Self:
        await self._follow_folders()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_notifiers()

    async def changed(self, within: float | None = None) -> bool:
        """Wait until something differs from `tree`, for `within` seconds at most; whether it does."""
        deadline = None if within is None else time.monotonic() + within
        while True:
            if await self._look():
                return True
            wake = min(self._near_due, self._far_due, *([] if deadline is None else [deadline]))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hint.wait(), max(wake - time.monotonic(), 0.0))
            if deadline is not None and time.monotonic() >= deadline and not self._hint.is_set():
                return False

    async def _look(self) -> bool:
        """Look at the disk if there is a reason to."""
        began = time.monotonic()
        if not self._hint.is_set() and began < self._far_due:
            if began < self._near_due:
                return False
            near = [*self._roots(), *self.tree.distant]
            current = await asyncio.to_thread(tree.is_current, self.tree, near)
            now = time.monotonic()
            self._near_due = now + max(_NEAR, _REST * (now - began))
            if current:
                return False
        await asyncio.sleep(max(self._rested - time.monotonic(), 0.0))
        self._hint.clear()
        began = time.monotonic()
        before, self.tree = self.tree, await asyncio.to_thread(tree.read, self._paths)
        now = time.monotonic()
        self._rested = now + (now - began)
        self._far_due = now + max(_FAR if self._notifiers else _NEAR, _REST * (now - began))
        if self.tree.identities != before.identities:
            await self._follow_folders()
        return self.tree != before

    def _roots(self) -> list[str]:
        return [path if path in self.tree.files else str(PurePath(path)) for path in self._paths]

    async def _follow_folders(self) -> None:
        """Follow the folders that are there now; for a file its own folder, because editors replace the file."""
        self._stop_notifiers()
        roots = self._roots()
        folders = [each for each in roots if each in self.tree.folders]
        single = [each for each in roots if each not in self.tree.folders and Path(each).parent.is_dir()]
        try:
            if folders:
                self._notifiers.append(await asyncio.to_thread(_Notifier, folders, (), self._notice()))
            if single:
                parents = [str(PurePath(each).parent) for each in single]
                self._notifiers.append(await asyncio.to_thread(_Notifier, parents, single, self._notice()))
        except Exception as error:  # a limit of the system, or a folder that is gone already
            log.warning("changes below %s are polled for: %s", ", ".join(roots), error)
            self._stop_notifiers()
        self._hint.set()  # for what was changed before the notifiers saw it

    def _notice(self) -> Callable[[], None]:
        loop = asyncio.get_running_loop()

        def notice() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._hint.set)

        return notice

    def _stop_notifiers(self) -> None:
        while self._notifiers:
            self._notifiers.pop().stop()


class _Notifier:
    """A thread that calls `notice` when something happens: to the files `named`, else to anything below the folders.

    Raises OSError, RuntimeError when the system has no more watches.
    """

    def __init__(self, folders: Sequence[str], named: Sequence[str], notice: Callable[[], None]) -> None:
        from watchfiles._rust_notify import RustNotify

        self._folders = [str(Path(folder).absolute()) for folder in folders]
        self._named = {str(Path(file).absolute()) for file in named}
        self._notice = notice
        self._stopped = threading.Event()
        self._events = RustNotify(self._folders, False, False, 0, not named, True)
        threading.Thread(target=self._listen, name="file notifier", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _listen(self) -> None:
        with self._events as events:
            while isinstance(found := events.watch(_DEBOUNCE, _STEP, 0, self._stopped), set):
                if any(self._matters(path) for _, path in found):
                    self._notice()

    def _matters(self, path: str) -> bool:
        """What editors and git keep in hidden files does not; the ``..data`` of a mounted ConfigMap does."""
        if self._named:
            return path in self._named
        folder = next((each for each in self._folders if path.startswith(each)), "")
        return not any(part.startswith(".") and not part.startswith("..") for part in path[len(folder) :].split("/"))
