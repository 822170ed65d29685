"""Two revisions of manifests: folders, files, or what a commit of the Git repository has (`git:REV`, `git:REV:PATH`).

Git is asked for an archive of the commit, which is unpacked below a temporary folder; the repository and its working
tree stay as they are. A document that both revisions have is parsed once, so that an edge built after the other reuses
what hangs on it.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from lockgate.edge.manifests import Manifests
from lockgate.errors import CommandError
from lockgate.resources.faults import Locate, Origin, Position
from lockgate.runtime.reading import files

GIT = "git:"
_SECONDS = 60


class NoRevision(CommandError):
    """Git does not know the commit or path, or there is no repository."""

    hint = "use git:REV or git:REV:PATH in a Git repository, such as git:main or git:HEAD~1:k8s"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of a revision are. `folder` is the temporary one of `commit`."""

    path: str
    commit: str = ""
    folder: str = ""

    def shown(self, position: Position) -> Position:
        """Files of a commit are named as `git show` names them: ``REV:PATH``."""
        if not self.commit:
            return position
        return replace(position, file=f"{self.commit}:{position.file.removeprefix(self.folder).removeprefix('/')}")


@dataclass(frozen=True, slots=True)
class Revision:
    """The manifests at a place."""

    place: Place
    manifests: Manifests

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.place.path,)

    def locate(self) -> Locate:
        """Resolves origins to positions."""
        positions = cache(self.manifests.positions)  # only if something differs

        def located(origin: Origin) -> Position | None:
            found = positions()(origin)
            return self.place.shown(found) if found is not None else None

        return located


@contextmanager
def placed(name: str, beside: str = ".") -> Iterator[Place]:
    """The files of a revision. A commit without a path has that of `beside`, the revision that it is compared with.

    Raises `NoRevision`, OSError.
    """
    if not name.startswith(GIT):
        yield Place(name)
        return
    commit, _, path = name.removeprefix(GIT).partition(":")
    path = path or (beside.removeprefix(GIT).partition(":")[2] if beside.startswith(GIT) else beside)
    with TemporaryDirectory(prefix="lockgate-diff-") as folder:
        inside = _unpack(commit, path, Path(folder))
        yield Place(str(Path(folder) / inside) if inside else folder, commit, folder)


def read(place: Place, values: Sequence[str] = (), *, earlier: Revision | None = None) -> Revision:
    """Raises `files.NoManifests`, OSError."""
    return Revision(place, files.load((place.path,), values, earlier=_known(earlier, place.path)))


def _known(earlier: Revision | None, path: str) -> Manifests | None:
    """What was read of the earlier revision, under the names that its files have in another path."""
    if earlier is None:
        return None
    before = earlier.place.path
    readings = {
        path + file.removeprefix(before): (_ANOTHER, reading)
        for file, (_, reading) in earlier.manifests.readings.items()
        if file.startswith(before)
    }
    return replace(earlier.manifests, readings=readings)


_ANOTHER = b""  # no file's digest: every file is read, and only equal documents are taken over


# --- git ---------------------------------------------------------------------------------------------------------


def _unpack(commit: str, path: str, folder: Path) -> str:
    """Unpacks a commit's files; returns the path in `folder` that was asked for, from the repository's root."""
    if not commit or commit.startswith("-"):
        raise NoRevision(f"{commit!r} is not a commit")
    top = _git("rev-parse", "--show-toplevel").decode().strip()
    wanted = _inside(Path(top), Path(path or "."))
    _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}", what=f"no commit {commit}")
    _extract(commit, wanted, top, folder)
    return wanted


def _extract(commit: str, wanted: str, top: str, folder: Path) -> None:
    """Unpacks while git packs: a repository may be larger than memory."""
    command = ("git", "archive", "--format=tar", commit, *((wanted,) if wanted else ()))
    with subprocess.Popen(command, cwd=top, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as git:  # noqa: S603
        assert git.stdout is not None
        assert git.stderr is not None
        try:
            with tarfile.open(fileobj=git.stdout, mode="r|") as tar:
                tar.extractall(folder, filter=_inside_only)  # noqa: S202  the filter makes it safe
        except tarfile.ReadError:
            said = git.stderr.read().decode(errors="replace").strip().splitlines()
            raise NoRevision(f"{commit} has no {wanted}{': ' + said[0] if said else ''}") from None


def _inside_only(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Leaves out links that lead outside the repository."""
    try:
        return tarfile.data_filter(member, folder)
    except tarfile.FilterError:
        return None


def _inside(top: Path, path: Path) -> str:
    """A path from the repository's root. The commit decides whether it exists, and links are not followed."""
    found = Path(os.path.abspath(path))  # noqa: PTH100  `resolve` would follow links
    if not found.is_relative_to(top):
        found = found.parent.resolve() / found.name
    if not found.is_relative_to(top):
        raise NoRevision(f"{path} is outside the repository {top}")
    return str(found.relative_to(top)).removeprefix(".")


def _git(*arguments: str, folder: str | None = None, what: str = "this is not a Git repository") -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  a list of arguments, without a shell
            ("git", *arguments),  # noqa: S607
            cwd=folder,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise NoRevision("there is no git on this machine") from None
    except subprocess.TimeoutExpired:
        raise NoRevision(f"git took longer than {_SECONDS} s") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoRevision(f"{what}{': ' + said[0] if said else ''}")
    return done.stdout
