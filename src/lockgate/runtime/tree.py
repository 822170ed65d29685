"""What is on disk below the user's paths, without reading any file: names, and a signature for each.

`files` reads what is listed here. The watcher compares two trees, because a notifier alone misses what happens beyond
symbolic links, in folders that were swapped, and on file systems that other machines write to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from lockgate.edge import kustomization
from lockgate.runtime import settings
from lockgate.runtime.contents import CHART, Folder, Signature, below, signature

STDIN = "-"
_MOST = 50_000  # files and folders that are rendered from

_NEVER = Signature(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Tree:
    """Files and folders by name: with the path that the user gave before them. Symbolic links are followed.

    A file without a signature is a link that leads nowhere. `roots` are the user's paths that are folders. `missing`
    are paths that do not exist. `distant` is what is beyond a symbolic link, or beyond the paths: it is polled.
    """

    files: Mapping[str, Signature | None] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    folders: Mapping[str, Signature] = field(default_factory=dict, compare=False)
    roots: Mapping[str, Folder] = field(default_factory=dict, compare=False)
    distant: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def identities(self) -> frozenset[tuple[str, tuple[int, int]]]:
        """Which folders these are: another folder under the same name has another identity."""
        return frozenset((path, each.identity) for path, each in self.folders.items())

    @property
    def settings(self) -> Mapping[str, Signature | None]:
        """The files of settings."""
        return {path: each for path, each in self.files.items() if path.endswith(settings.NAME)}

    def saved_since(self, before: Tree) -> frozenset[str]:
        """Files that are new, or were written, replaced or touched."""
        return frozenset(path for path, each in self.files.items() if before.files.get(path, _NEVER) != each)

    def uprooted_since(self, before: Tree, files: Iterable[str]) -> frozenset[str]:
        """Of these files, those with a folder above them that is gone, or is another one than before."""
        others = {path for path, _ in before.identities - self.identities}
        return frozenset(_inside(others, files))

    def unreachable(self, files: Iterable[str]) -> frozenset[str]:
        """Of these files, those that are, or are below, a path that the user gave and that does not exist now."""
        return frozenset(_inside(self.missing, files))

    def is_current(self, paths: Iterable[str]) -> bool:
        """Whether these files and folders are as they were. Costs a `stat` each."""
        return all(signature(path) == (self.files.get(path) or self.folders.get(path)) for path in paths)


def read(paths: Sequence[str], sources: Iterable[str] = ()) -> Tree:
    """Never raises. What can be read only once is passed over.

    `sources` are files and folders that manifests are rendered from: beyond the paths, and of any suffix.
    """
    walk = _Walk()
    for path in paths:
        if not is_stream(path):
            walk.root(path)
    for path in sources:
        walk.source(path)
    return Tree(walk.files, frozenset(walk.missing), walk.folders, walk.roots, frozenset(walk.distant))


def is_stream(path: str) -> bool:
    """Whether a path of the user's can be read only once; `<(command)` of a shell is such a path."""
    return path in (STDIN, "/dev/stdin") or path.startswith(("/dev/fd/", "/proc/self/fd/"))


def as_folder(path: str) -> str:
    """The file that describes a kustomization or a chart stands for its folder."""
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
    """Those of `paths` that are in `folders` or below one of them."""
    within: dict[str, bool] = {top: top in folders for top in (".", "/")}

    def is_within(path: str) -> bool:
        if path not in within:
            above = path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")
            within[path] = path in folders or is_within(above)
        return within[path]

    return filter(is_within, paths)
