"""Manifests on disk: found, read, and what keeps them from it."""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.edge.settling import Disk, Settling
from lockgate.resources.faults import Fault, Position
from lockgate.runtime.reading import files
from lockgate.runtime.reading.contents import MAX_FILES, content
from lockgate.runtime.reading.files import NoManifests, Sources, load

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"


def test_folders_are_read_with_all_below_them_in_order(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "deep" / "two.yml").write_text(SERVICE.replace("web", "two"))
    (tmp_path / "a.yaml").write_text(SERVICE.replace("web", "one"))
    (tmp_path / ".hidden.yaml").write_text("not: [valid")
    (tmp_path / "README.md").write_text("# not a manifest")
    manifests = load([str(tmp_path)])
    assert [document.manifest["metadata"]["name"] for document in manifests.documents] == ["one", "two"]
    assert manifests.faults == ()


def test_a_broken_file_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("kind: [\n")
    (tmp_path / "good.yaml").write_text(SERVICE)
    manifests = load([str(tmp_path)])
    assert len(manifests.documents) == 1
    assert manifests.broken == {str(tmp_path / "broken.yaml")}
    assert str(manifests.faults[0].origin).startswith(f"{tmp_path}/broken.yaml:")


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SERVICE.encode())))
    sources = Sources(["-"])
    assert sources.load().documents[0].position.file == "<stdin>"
    assert sources.load().documents == sources.load().documents


def test_what_a_shell_pipes_in_is_read_once() -> None:
    """`lockgate up <(kustomize build)`"""
    reader, writer = os.pipe()
    os.write(writer, SERVICE.encode())
    os.close(writer)
    sources = Sources([f"/dev/fd/{reader}"])
    os.close(reader)
    assert len(sources.load().documents) == len(sources.load().documents) == 1


@pytest.mark.parametrize("content", [None, {}, {"notes.txt": SERVICE}])
def test_no_files_at_all(tmp_path: Path, content: dict[str, str] | None) -> None:
    for name, text in (content or {}).items():
        (tmp_path / name).write_text(text)
    with pytest.raises(NoManifests):
        load([str(tmp_path if content is not None else tmp_path / "missing")])


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "gone")
    (fault,) = load([str(tmp_path)]).faults
    assert fault.code.id == "LG9001"
    assert "cannot be read: No such file or directory" in fault.message


def test_files_without_manifests_hide_nothing(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"name": "web"}')
    (tmp_path / "empty.yaml").write_text("")
    manifests = load([str(tmp_path)])
    assert not manifests.usable
    assert {fault.code.id for fault in manifests.faults} == {"LG0006", "LG0017"}
    (tmp_path / "web.yaml").write_text(SERVICE)
    assert load([str(tmp_path)]).usable


def test_a_file_that_becomes_a_template_keeps_its_last_good_objects(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(SERVICE)
    before = load([str(tmp_path)])
    file.write_text(SERVICE.replace("web", "{{ .Values.name }}"))
    after = load([str(tmp_path)], earlier=before)
    assert not after.usable
    settled = Settling().settle(after, before, Disk(time=1.0, changed=1.0))
    assert [each for each in settled.manifests.documents if each.accepted] == list(before.documents)


def _make_pipe(path: Path) -> None:
    os.mkfifo(path)


def _make_socket(path: Path) -> None:
    os.chdir(path.parent)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_make_pipe, "a named pipe is not read"),
        (_make_socket, "a socket is not read"),
        (lambda path: path.symlink_to("/dev/zero"), "a device is not read"),
        (lambda path: path.symlink_to(path.name), "the file cannot be read: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("gone"), "the file cannot be read: No such file or directory"),
    ],
)
def test_a_special_file_is_a_fault_and_is_not_opened(
    tmp_path: Path, make: Callable[[Path], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    special = tmp_path / "special.yaml"
    make(special)
    (tmp_path / "web.yaml").write_text(SERVICE)
    for paths in ([str(tmp_path)], [str(special), str(tmp_path / "web.yaml")]):
        manifests = load(paths)
        assert len(manifests.documents) == 1
        assert [(fault.origin, fault.message) for fault in manifests.faults] == [(Position(str(special), 1), reason)]


def test_a_folder_called_like_a_manifest_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").mkdir()
    (tmp_path / "web.yaml" / "a.yaml").write_text(SERVICE)
    assert len(load([str(tmp_path)]).documents) == 1


def test_links_back_are_followed_once(tmp_path: Path) -> None:
    """Two links to the folder above have 2^40 paths in a walk that only stops at the system's limit."""
    deep = tmp_path / "a"
    deep.mkdir()
    for name in ("l1", "l2"):
        (deep / name).symlink_to("..")
    (tmp_path / "web.yaml").write_text(SERVICE)
    manifests = load([str(tmp_path)])
    assert manifests.files == (f"{deep}/l1", f"{deep}/l2", f"{tmp_path}/web.yaml")
    assert {fault.code.id for fault in manifests.faults} == {"LG9006"}


def test_many_links_to_one_folder_read_it_once(tmp_path: Path) -> None:
    for level in range(40):
        (tmp_path / f"f{level}").mkdir()
        for name in ("l1", "l2"):
            (tmp_path / f"f{level}" / name).symlink_to(f"../f{level + 1}")
    (tmp_path / "f40").mkdir()
    (tmp_path / "f40" / "web.yaml").write_text(SERVICE)
    assert len(load([str(tmp_path / "f0")]).documents) == 1


def test_a_folder_that_cannot_be_listed_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "web.yaml").write_text(SERVICE)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may list every folder
    manifests = load([str(tmp_path)])
    assert [fault.message for fault in manifests.faults] == ["the file cannot be read: Permission denied"]
    assert len(manifests.documents) == 1


def test_only_what_was_written_since_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(SERVICE.replace("web", name))
    opened: list[str] = []

    def counted(file: Path) -> bytes | Fault:
        opened.append(file.name)
        return content(file)

    monkeypatch.setattr(files, "content", counted)
    sources = Sources([str(tmp_path)])
    before = sources.load()
    assert opened == ["one.yaml", "two.yaml"]
    sources.load(before)
    assert opened == ["one.yaml", "two.yaml"] * 2, "they were written so recently that they may be again"
    monkeypatch.setattr(files, "_UNSETTLED", -1_000_000_000_000)
    before = sources.load(before)
    opened.clear()
    (tmp_path / "two.yaml").write_text(SERVICE.replace("web", "other"))
    after = sources.load(before)
    assert opened == ["two.yaml"]
    assert [each.manifest["metadata"]["name"] for each in after.documents] == ["one", "other"]


def test_files_that_npm_installs_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "node_modules" / "left").mkdir(parents=True)
    (tmp_path / "node_modules" / "left" / "package.json").write_text("{}")
    (tmp_path / "web.yaml").write_text(SERVICE)
    assert load([str(tmp_path)]).files == (f"{tmp_path}/web.yaml",)


def test_many_files_without_manifests_are_few_lines(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}.json").write_text("{}")
    messages = [fault.message for fault in load([str(tmp_path)]).faults]
    assert len(messages) == 11
    assert messages[-1] == "20 more files are not Kubernetes manifests"


def test_a_folder_of_too_many_files_is_read_up_to_the_limit(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number:05}.yaml").touch()
    manifests = load([str(tmp_path)])
    assert len(manifests.files) == MAX_FILES + 1
    assert manifests.faults[-1].message == "the file is not read, because there are more than 20,000 files"


def test_invalid_utf_8_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: \xff")))
    assert [fault.code.id for fault in load(["-"]).faults] == ["LG0003"]
