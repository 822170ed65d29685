"""Reads the files to which Envoys write records of requests, as they grow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_AT_ONCE = 1 << 18  # bytes of one read: some hundred records, so that others are not blocked for long
_CLEARED = 4 << 20  # bytes, beyond which a file that is read to its end is emptied
_TOO_FAR = 32 << 20  # bytes behind, beyond which records are skipped


class Growing:
    """One file. What was in it before is not read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size if path.exists() else 0
        self.skipped = 0
        """Bytes of records that were left out, because too many came."""

    def records(self) -> Iterator[dict[str, Any]]:
        """New records, of at most one read. What is no record is left out."""
        for line in self._lines():
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found

    @property
    def behind(self) -> bool:
        """Whether there is more than one read takes."""
        return self._size() - self._read >= _AT_ONCE

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _lines(self) -> list[bytes]:
        size = self._size()
        if size < self._read:  # emptied by another
            self._read = 0
        if size - self._read > _TOO_FAR:
            self.skipped += size - self._read - _AT_ONCE
            self._read = size - _AT_ONCE
        if size == self._read:
            return []
        found, self._read = whole_lines(self._path, self._read, at_once=_AT_ONCE, cleared=_CLEARED)
        return found


def whole_lines(path: Path, read: int, *, at_once: int, cleared: int) -> tuple[list[bytes], int]:
    """The complete lines after `read` bytes of an Envoy's log, and how much has been read then.

    It reads `at_once` bytes at most. A log that is read to its end is emptied if it has more than `cleared` bytes.
    Raises OSError.
    """
    with path.open("rb+") as file:
        file.seek(read)
        text = file.read(at_once)
        whole = text[: text.rfind(b"\n") + 1]
        read += len(whole)
        if cleared < read == os.fstat(file.fileno()).st_size:
            file.truncate(0)  # Envoy appends, so its next record is at the start
            read = 0
    return whole.splitlines(), read
