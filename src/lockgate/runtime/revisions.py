"""Two revisions of manifests: folders, files, or what a commit of the Git repository has (`git:REV`, `git:REV:PATH`).

Git is asked for an archive of the commit, which is unpacked below a temporary folder; the repository and its working
tree stay as they are. Text that both revisions have is parsed once, so that an edge built after the other reuses it.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from lockgate.edge.manifests import Manifests
from lockgate.errors import CommandError
from lockgate.resources.faults import Locate, Origin, Position
from lockgate.runtime import files

GIT = "git:"
_SECONDS = 60


class NoRevision(CommandError):
    """Git does not know the commit or path, or there is no repository."""

    hint = "use git:REV or git:REV:PATH in a Git repository, such as git:main or git:HEAD~1:k8s"


@dataclass(frozen=True, slots=True)
class Revision:
    """Manifests, and the paths that they were read from. `folder` is the temporary one of a commit."""

    name: str
    paths: tuple[str, ...]
    manifests: Manifests
    folder: str = ""

    def locate(self) -> Locate:
        """Resolves origins to positions. Those of a commit are named as `git show` names them: ``REV:PATH``."""
        positions = self.manifests.positions()
        if not self.folder:
            return positions
        commit = self.name.removeprefix(GIT).partition(":")[0]

        def located(origin: Origin) -> Position | None:
            found = positions(origin)
            if found is None:
                return None
            return replace(found, file=f"{commit}:{found.file.removeprefix(self.folder).removeprefix('/')}")

        return located


@contextmanager
def revision(
    name: str, values: Sequence[str] = (), *, beside: str = ".", earlier: Revision | None = None
) -> Iterator[Revision]:
    """Reads one revision. A commit without a path has that of `beside`, the revision that it is compared with.

    Raises `NoRevision`, `files.NoManifests`, OSError.
    """
    known = earlier.manifests if earlier else None
    if not name.startswith(GIT):
        yield Revision(name, (name,), files.load((name,), values, earlier=known))
        return
    commit, _, path = name.removeprefix(GIT).partition(":")
    path = path or (beside.removeprefix(GIT).partition(":")[2] if beside.startswith(GIT) else beside)
    with TemporaryDirectory(prefix="lockgate-diff-") as folder:
        prefix = _unpack(commit, path, Path(folder))
        at = str(Path(folder) / prefix) if prefix else folder
        yield Revision(name, (at,), files.load((at,), values, earlier=known), folder)


def _unpack(commit: str, path: str, folder: Path) -> str:
    """Unpacks a commit's files; returns the path in `folder` that was asked for, from the repository's root."""
    if not commit or commit.startswith("-"):
        raise NoRevision(f"{commit!r} is not a commit")
    top = _git("rev-parse", "--show-toplevel").decode().strip()
    wanted = _inside(Path(top), Path(path or "."))
    _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}", what=f"no commit {commit}")
    archive = _git("archive", "--format=tar", commit, *((wanted,) if wanted else ()), folder=top,
                   what=f"{commit} has no {wanted}")  # fmt: skip
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter=_inside_only)  # noqa: S202  the filter makes it safe
    return wanted


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
