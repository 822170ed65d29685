"""What is on disk, by signature: which tools' ways of changing files are noticed, and as what."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.runtime.reading import tree


def fill(folder: Path) -> None:
    (folder / "sub").mkdir(parents=True)
    (folder / "a.yaml").write_text("a")
    (folder / "sub" / "b.yml").write_text("b")
    (folder / "notes.txt").write_text("not a manifest")
    (folder / ".git").mkdir()
    (folder / ".git" / "c.yaml").write_text("c")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "out")
    return tmp_path / "out"


def test_manifests_are_named_as_files_load_names_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lockgate.runtime.reading import files

    monkeypatch.chdir(folder)
    (folder / "a.yaml").write_text("kind: [")
    for path in (str(folder), f"{folder}/", ".", "./", "sub", "./sub/", "./a.yaml", "sub/../a.yaml", "../out"):
        assert set(tree.read([path]).files) == set(files.load([path]).files), path


def in_place(folder: Path) -> None:
    (folder / "a.yaml").write_text("other")


def same_size_and_time(folder: Path) -> None:
    """As `cp -p` of a file with the same length does."""
    before = (folder / "a.yaml").stat()
    (folder / "a.yaml").write_text("x")
    os.utime(folder / "a.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))


def by_rename(folder: Path) -> None:
    (folder / ".a.yaml.swp").write_text("a")
    (folder / ".a.yaml.swp").rename(folder / "a.yaml")


def touched(folder: Path) -> None:
    (folder / "a.yaml").touch()


@pytest.mark.parametrize("save", [in_place, same_size_and_time, by_rename, touched])
def test_a_save_is_seen_however_the_file_is_written(folder: Path, save: Callable[[Path], None]) -> None:
    before = tree.read([str(folder)])
    save(folder)
    after = tree.read([str(folder)])
    assert after != before
    assert after.saved_since(before) == {f"{folder}/a.yaml"}
    assert not after.uprooted_since(before, [f"{folder}/a.yaml"])


def test_what_editors_and_git_leave_beside_the_files_is_no_change(folder: Path) -> None:
    before = tree.read([str(folder)])
    (folder / ".a.yaml.swp").write_text("vim")
    (folder / "a.yaml~").write_text("emacs")
    (folder / "4913").write_text("vim again")
    (folder / ".git" / "index.lock").write_text("")
    assert tree.read([str(folder)]) == before


def test_a_folder_that_was_replaced_is_another(folder: Path) -> None:
    before = tree.read([str(folder)])
    shutil.rmtree(folder)
    gone = tree.read([str(folder)])
    assert gone.missing == {str(folder)}
    assert gone.unreachable([f"{folder}/sub/b.yml"])
    assert gone.uprooted_since(before, [f"{folder}/a.yaml"])
    (folder.parent / "placeholder").mkdir()  # or the new folder may get the old one's inode
    fill(folder)
    after = tree.read([str(folder)])
    assert after.uprooted_since(before, [f"{folder}/sub/b.yml"])
    assert not after.missing


def test_a_folder_inside_that_is_gone_uproots_only_its_own(folder: Path) -> None:
    before = tree.read([str(folder)])
    shutil.rmtree(folder / "sub")
    after = tree.read([str(folder)])
    assert after.uprooted_since(before, [f"{folder}/sub/b.yml"])
    assert not after.uprooted_since(before, [f"{folder}/a.yaml"])
    assert not after.unreachable([f"{folder}/sub/b.yml"])


def test_what_is_beyond_links_is_polled(folder: Path) -> None:
    outside = folder.parent / "outside"
    (outside / "more").mkdir(parents=True)
    (outside / "r.yaml").write_text("r")
    (outside / "more" / "s.yaml").write_text("s")
    (folder / "r.yaml").symlink_to(outside / "r.yaml")
    (folder / "more").symlink_to(outside / "more")
    before = tree.read([str(folder)])
    assert before.distant == {f"{folder}/r.yaml", f"{folder}/more", f"{folder}/more/s.yaml"}
    assert before.is_current(before.distant)
    (outside / "r.yaml").write_text("other")
    assert not before.is_current(before.distant)
    assert tree.read([str(folder)]).saved_since(before) == {f"{folder}/r.yaml"}


def test_the_data_folder_of_a_mounted_config_map(folder: Path) -> None:
    """kubelet writes a new folder, and swaps the link ``..data`` by a rename."""
    for version in ("..1", "..2"):
        (folder / version).mkdir()
        (folder / version / "c.yaml").write_text("the same text")
    (folder / "..data").symlink_to("..1")
    (folder / "c.yaml").symlink_to("..data/c.yaml")
    before = tree.read([str(folder)])
    (folder / "..data_tmp").symlink_to("..2")
    (folder / "..data_tmp").rename(folder / "..data")
    assert not before.is_current(before.distant)
    assert tree.read([str(folder)]).saved_since(before) == {f"{folder}/c.yaml"}


def test_links_in_a_circle_end(folder: Path) -> None:
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "self").symlink_to("self")
    (folder / "dangling.yaml").symlink_to("nowhere")
    found = tree.read([str(folder)])
    assert sorted(found.files) == [f"{folder}/a.yaml", f"{folder}/dangling.yaml", f"{folder}/sub/b.yml"]
    assert found.files[f"{folder}/dangling.yaml"] is None
    assert [path for path, _ in found.roots[str(folder)].faults] == [f"{folder}/sub/up"]
