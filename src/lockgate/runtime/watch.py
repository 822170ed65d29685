"""Follows the user's manifest files while an edge runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from lockgate.runtime import files


async def changes(paths: Sequence[str]) -> AsyncIterator[None]:
    """Fires after each save below the paths. Editors write in several steps; those count as one."""
    from watchfiles import awatch

    # A file's folder is watched, because editors replace the file rather than write into it.
    folders = {path if path.is_dir() else path.parent for path in map(Path, paths) if str(path) != files.STDIN}
    if not folders:
        return
    named = {path.resolve() for path in map(Path, paths) if not path.is_dir()}

    def ours(_change: object, changed: str) -> bool:
        path = Path(changed)
        if path.name.startswith("."):
            return False
        return path.suffix in files.SUFFIXES or path.resolve() in named

    async for _ in awatch(*folders, watch_filter=ours, step=20, debounce=400, rust_timeout=60_000):
        yield
