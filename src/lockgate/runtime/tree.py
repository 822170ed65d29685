"""What is on disk below the user's paths: a signature for each file and folder, without reading any content.

Two equal trees hold the same files. The watcher compares them, because a notifier alone misses what happens beyond
symbolic links, in folders that were swapped, and on file systems that other machines write to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

from lockgate.runtime import contents, files

_SUFFIXES = tuple(contents.SUFFIXES)
_LIMIT = 50_000  # files and folders; beyond it a folder is not one of manifests, and files.load refuses it


class Signature(NamedTuple):
    """Differs whenever a file was written or replaced. ctime is in it because `cp -p` and `rsync -t` set mtime back."""

    device: int
    inode: int
    size: int
    modified: int  # ns
    changed: int  # ns

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class Tree:
    """Files and folders by path, as files.load names them. Symbolic links are followed.

    `distant` are those beyond a symbolic link: no notifier of this tree's folders sees them change.
    """

    files: Mapping[str, Signature]
    folders: Mapping[str, Signature] = field(compare=False)
    missing: frozenset[str]  # of the paths given
    distant: frozenset[str] = field(compare=False)

    @property
    def identities(self) -> frozenset[tuple[str, tuple[int, int]]]:
        """Which folders these are: another folder under the same name has another identity."""
        return frozenset((path, signature.identity) for path, signature in self.folders.items())

    def saved_since(self, before: Tree) -> frozenset[str]:
        """Files that are new, or were written, replaced or touched."""
        return frozenset(path for path, signature in self.files.items() if before.files.get(path) != signature)

    def uprooted_since(self, before: Tree, files: Iterable[str]) -> frozenset[str]:
        """Of these files, those with a folder above them that is gone, or is another one than before."""
        others = {
            each
            for each, signature in before.folders.items()
            if _identity(self.folders.get(each)) != signature.identity
        }
        return frozenset(_below(others, files))

    def unreachable(self, files: Iterable[str]) -> frozenset[str]:
        """Of these files, those that are, or are below, a path that the user gave and that does not exist now."""
        return frozenset(_below(self.missing, files))


def read(paths: Sequence[str], sources: Iterable[str] = ()) -> Tree:
    """Never raises: what cannot be listed is empty, and files.load reports it.

    `sources` are files and folders that manifests are rendered from: beyond the paths, and of any suffix.
    """
    tree = _Walk()
    for path in paths:
        if not files.is_stream(path):
            tree.root(path)
    for path in sources:
        tree.source(path)
    return Tree(tree.files, tree.folders, frozenset(tree.missing), frozenset(tree.distant))


def is_current(tree: Tree, paths: Iterable[str]) -> bool:
    """Whether these of its files and folders are as they were. Costs a `stat` each."""
    return all(_signature(path) == (tree.files.get(path) or tree.folders.get(path)) for path in paths)


class _Walk:
    def __init__(self) -> None:
        self.files: dict[str, Signature] = {}
        self.folders: dict[str, Signature] = {}
        self.missing: set[str] = set()
        self.distant: set[str] = set()

    def root(self, path: str) -> None:
        signature = _signature(path)
        if signature is None:
            self.missing.add(_named(path))
        elif Path(path).is_dir():
            self._folder(_named(path), signature, frozenset(), distant=False)
        else:
            self.files[path] = signature
            if Path(path).is_symlink():
                self.distant.add(path)

    def source(self, path: str) -> None:
        self.distant.add(path)
        waiting = [path]
        while waiting and len(self.files) + len(self.folders) <= _LIMIT:
            path = waiting.pop()
            if (signature := _signature(path)) is None:
                continue
            if Path(path).is_dir():
                self.folders.setdefault(path, signature)
                waiting += (entry.path for entry in _entries(path) if not entry.is_symlink() or not _is_folder(entry))
            else:
                self.files.setdefault(path, signature)
            self.distant.add(path)

    def _folder(self, path: str, signature: Signature, above: frozenset[tuple[int, int]], *, distant: bool) -> None:
        if signature.identity in above or len(self.files) + len(self.folders) > _LIMIT:
            return  # a link back to a folder above
        self.folders[path] = signature
        if distant:
            self.distant.add(path)
        for entry in _entries(path):
            if contents.is_ignored(entry.name):
                continue
            inside = entry.name if path == "." else entry.path
            far = distant or entry.is_symlink()
            if _is_folder(entry):
                if (found := _signature(inside)) is not None:
                    self._folder(inside, found, above | {signature.identity}, distant=far)
            elif entry.name.endswith(_SUFFIXES):
                if (found := _signature(inside)) is not None:
                    self.files[inside] = found
                if far:
                    self.distant.add(inside)


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that lead to themselves
        return False


def _signature(path: str) -> Signature | None:
    try:
        found = os.stat(path)  # noqa: PTH116  thousands of times a look
    except (OSError, ValueError):
        return None
    return Signature(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _identity(signature: Signature | None) -> tuple[int, int] | None:
    return signature.identity if signature else None


def _named(path: str) -> str:
    """As files.load names a folder: without a slash at its end, or a dot at its beginning."""
    return str(PurePath(path))


def _below(folders: Set[str], paths: Iterable[str]) -> Iterator[str]:
    """Those of `paths` that are in `folders` or below one of them."""
    within: dict[str, bool] = {top: top in folders for top in (".", "/")}

    def is_within(path: str) -> bool:
        if path not in within:
            above = path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")
            within[path] = path in folders or is_within(above)
        return within[path]

    return filter(is_within, paths)
