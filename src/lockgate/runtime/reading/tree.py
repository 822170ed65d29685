"""Lists the files below the user's paths without reading them: names, with a signature for each.

`files` reads the listed files. The watcher compares two trees, because a notifier misses changes beyond symbolic links,
in replaced folders, and on network file systems."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from lockgate.edge import kustomization
from lockgate.runtime import settings
from lockgate.runtime.reading.contents import CHART, Folder, Signature, below, signature

STDIN = "-"
_MOST = 50_000  # files and folders that are rendered from

_NEVER = Signature(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Tree:
    """Files and folders by name, with the user's path as prefix. Symbolic links are followed.

    A file without a signature is a dangling link. `roots` are the user's paths that are folders. `missing` are paths
    that do not exist. `distant` are files beyond a symbolic link or outside the paths, which are polled.
    """

    files: Mapping[str, Signature | None] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    folders: Mapping[str, Signature] = field(default_factory=dict, compare=False)
    roots: Mapping[str, Folder] = field(default_factory=dict, compare=False)
    distant: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def identities(self) -> frozenset[tuple[str, tuple[int, int]]]:
        """The identities of the folders: a replaced folder with the same name has another identity."""
        return frozenset((path, each.identity) for path, each in self.folders.items())

    @property
    def settings(self) -> Mapping[str, Signature | None]:
        """The settings files."""
        return {path: each for path, each in self.files.items() if path.endswith(settings.NAME)}

    def saved_since(self, before: Tree) -> frozenset[str]:
        """Files that are new, or were written, replaced or touched."""
        return frozenset(path for path, each in self.files.items() if before.files.get(path, _NEVER) != each)

    def uprooted_since(self, before: Tree, files: Iterable[str]) -> frozenset[str]:
        """Those of the files with a parent folder that is missing or was replaced."""
        others = {path for path, _ in before.identities - self.identities}
        return frozenset(_inside(others, files))

    def unreachable(self, files: Iterable[str]) -> frozenset[str]:
        """Those of the files that are in a user's path that no longer exists."""
        return frozenset(_inside(self.missing, files))

    def is_current(self, paths: Iterable[str]) -> bool:
        """Whether these files and folders are unchanged. Costs one `stat` each."""
        return all(signature(path) == (self.files.get(path) or self.folders.get(path)) for path in paths)


def read(paths: Sequence[str], sources: Iterable[str] = ()) -> Tree:
    """Never raises. Streams, which can be read only once, are skipped.

    `sources` are the files and folders of renderings: also outside the paths, and with any suffix.
    """
    walk = _Walk()
    for path in paths:
        if not is_stream(path):
            walk.root(path)
    for path in sources:
        walk.source(path)
    return Tree(walk.files, frozenset(walk.missing), walk.folders, walk.roots, frozenset(walk.distant))


def is_stream(path: str) -> bool:
    """Whether a path can be read only once, such as a shell's `<(command)`."""
    return path in (STDIN, "/dev/stdin") or path.startswith(("/dev/fd/", "/proc/self/fd/"))


def as_folder(path: str) -> str:
    """The folder of a kustomization or chart, if the path is the file that describes it."""
    pure = PurePath(path)
    return str(pure.parent if pure.name in kustomization.NAMES or pure.name == CHART else pure)


class _Walk:
    def __init__(self) -> None:
        self.files: dict[str, Signature | None] = {}
        self.folders: dict[str, Signature] = {}
        self.roots: dict[str, Folder] = {}
        self.missing: set[str] = set()
        self.distant: set[str] = set()

    def root(self, path: str) -> None:
        if not os.path.lexists(path):
            self.missing.add(str(PurePath(path)))
        elif Path(folder := as_folder(path)).is_dir():
            found = self.roots[path] = below(Path(folder))
            self.files |= found.signatures
            self.folders |= found.folders
            self.distant |= found.distant
        else:
            self.files[path] = signature(path)
            if Path(path).is_symlink():
                self.distant.add(path)

    def source(self, path: str) -> None:
        waiting = [path]
        while waiting and len(self.files) + len(self.folders) <= _MOST:
            path = waiting.pop()
            self.distant.add(path)
            if (found := signature(path)) is None:
                continue
            if Path(path).is_dir():
                self.folders.setdefault(path, found)
                waiting += (entry.path for entry in _entries(path) if not (entry.is_symlink() and entry.is_dir()))
            else:
                self.files.setdefault(path, found)


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return


def _inside(folders: Set[str], paths: Iterable[str]) -> Iterator[str]:
    """Those of `paths` that are in or below one of `folders`."""
    within: dict[str, bool] = {top: top in folders for top in (".", "/")}

    def is_within(path: str) -> bool:
        if path not in within:
            above = path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")
            within[path] = path in folders or is_within(above)
        return within[path]

    return filter(is_within, paths)
