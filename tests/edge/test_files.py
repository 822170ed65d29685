"""Manifests on disk: found, read, and what keeps them from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.edge.settling import Disk, Settling
from lockgate.runtime.files import NoManifests, load

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


def test_standard_input() -> None:
    assert load(["-"], stdin=SERVICE).documents[0].position.file == "<stdin>"


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


def test_files_that_are_no_manifests_hide_nothing(tmp_path: Path) -> None:
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
