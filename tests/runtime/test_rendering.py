"""Folders that are rendered first: kustomizations with the real kubectl, and charts with a stand-in for helm.

The stand-in is a program on PATH that fills `{{ .Values.name }}` in from the values files that it is given. It shows
which arguments helm gets and what becomes of its output; it does not show that helm itself takes them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from lockgate.resources.faults import Severity
from lockgate.runtime.reading import tools
from lockgate.runtime.reading.files import Sources, load

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
HELM = """#!{python}
import json, pathlib, sys
arguments = sys.argv[1:]
pathlib.Path({record!r}).write_text(json.dumps(arguments))
chart, values = pathlib.Path(arguments[2]), {{"name": "default"}}
for flag, file in zip(arguments, arguments[1:]):
    if flag == "--values":
        values["name"] = pathlib.Path(file).read_text().split(": ")[1].strip()
if not (chart / "templates").is_dir():
    sys.exit("WARNING: this comes first\\nError: chart has\\nno templates")
for file in sorted((chart / "templates").iterdir()):
    print("---\\n# Source:", file)
    print(file.read_text().replace("{{{{ .Values.name }}}}", values["name"]))
"""


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the only one on PATH."""
    folder = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def kubectl(programs: Path) -> None:
    (programs / "kubectl").symlink_to(Path(sys.executable).with_name("kubectl"))


@pytest.fixture
def helm(programs: Path) -> Path:
    """Where the arguments of the last call are."""
    record = programs / "arguments.json"
    (programs / "helm").write_text(HELM.format(python=sys.executable, record=str(record)))
    (programs / "helm").chmod(0o755)
    return record


def write(folder: Path, **files: str) -> None:
    """Files by name, with `__` for `/`."""
    for name, text in files.items():
        file = folder / (name.replace("__", "/") + ("" if "." in name else ".yaml"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def names(folder: Path, *paths: str) -> tuple[list[str], list[str]]:
    """The objects, and the faults (LG0019, LG0020 and what the files have) without the folder's own name."""
    manifests = load([str(folder / path) for path in paths or ("",)])
    shown = [f"{fault.origin}: {fault.message}".replace(f"{folder}/", "") for fault in manifests.faults]
    return sorted(str(each.key) for each in manifests.documents), shown


def overlays(folder: Path) -> None:
    write(folder, base__web=SERVICE, base__kustomization="resources: [web.yaml]\n")
    for name in ("dev", "prod"):
        write(folder, **{f"overlays__{name}__kustomization": f"namePrefix: {name}-\nresources: [../../base]\n"})


@pytest.mark.usefixtures("kubectl")
def test_an_overlay_is_rendered_with_its_base(tmp_path: Path) -> None:
    overlays(tmp_path)
    manifests = load([str(tmp_path / "overlays" / "prod")])
    (document,) = manifests.documents
    assert str(document.key) == "Service default/prod-web"
    assert document.position.file == f"{tmp_path}/overlays/prod/<kubectl kustomize>"
    assert manifests.faults == ()
    assert manifests.notes == (f"{tmp_path}/overlays/prod: rendered with kubectl kustomize {tmp_path}/overlays/prod",)
    assert names(tmp_path, "overlays/prod/kustomization.yaml")[0] == ["Service default/prod-web"]


@pytest.mark.usefixtures("kubectl")
def test_of_variants_the_base_is_rendered_and_each_is_a_line(tmp_path: Path) -> None:
    overlays(tmp_path)
    (tmp_path / "overlays" / "dev" / "old.yaml").write_text("kind: [")  # not a part of anything
    (tmp_path / "base" / "old.yaml").write_text("kind: [")
    assert names(tmp_path) == (
        ["Service default/web"],
        [
            "overlays/dev/kustomization.yaml:1:1: the kustomization overlays/dev is not rendered: base is",
            "overlays/prod/kustomization.yaml:1:1: the kustomization overlays/prod is not rendered: base is",
            "base/kustomization.yaml:1:1: the kustomization does not use base/old.yaml",
        ],
    )


@pytest.mark.usefixtures("kubectl")
def test_kustomizations_apart_are_all_rendered_beside_plain_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        plain=SERVICE.replace("web", "plain"),
        a__web=SERVICE,
        a__kustomization="namePrefix: a-\nresources: [web.yaml]\npatches: [{path: patch.yaml}]\n",
        a__patch="apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {patched: yes-it-is}}\n",
        b__web=SERVICE,
        b__kustomization="namePrefix: b-\nresources: [web.yaml]\n",
    )
    assert names(tmp_path) == (["Service default/a-web", "Service default/b-web", "Service default/plain"], [])


@pytest.mark.usefixtures("kubectl")
def test_files_beside_a_kustomization_are_no_part_of_it_and_other_folders_are(tmp_path: Path) -> None:
    write(
        tmp_path,
        kustomization="resources: [web.yaml, parts/used.yaml]\n",
        web=SERVICE,
        other=SERVICE,
        parts__used=SERVICE.replace("web", "used"),
        parts__more=SERVICE.replace("web", "more"),
        app__kustomization="resources: [app.yaml]\n",
        app__app=SERVICE.replace("web", "app"),
        test__kustomization="resources: [..]\n",
        test__left=SERVICE.replace("web", "left"),
    )
    assert names(tmp_path) == (
        [f"Service default/{name}" for name in ("app", "more", "used", "web")],
        [
            f"test/kustomization.yaml:1:1: the kustomization test is not rendered: {tmp_path} is",
            "kustomization.yaml:1:1: the kustomization does not use other.yaml",
        ],
    )


@pytest.mark.usefixtures("kubectl", "helm")
def test_charts_that_a_kustomization_renders_are_not_rendered_again(tmp_path: Path) -> None:
    write(
        tmp_path,
        kustomization="helmGlobals: {chartHome: c}\nhelmCharts: [{name: web}]\nresources: [web.yaml]\n",
        web=SERVICE,
        c__web__Chart="apiVersion: v2\nname: web\nversion: 0.1.0\n",
    )
    (fault,) = names(tmp_path)[1]
    assert "must specify --enable-helm" in fault


@pytest.mark.usefixtures("kubectl")
def test_an_error_of_the_renderer_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, good=SERVICE, a__kustomization="resources: [gone.yaml]\n")
    objects, (fault,) = names(tmp_path)
    assert objects == ["Service default/web"]
    assert fault.startswith("a/kustomization.yaml:1:1: `kubectl kustomize a` failed: accumulating resources: ")
    assert "\n" not in fault
    label = f"{tmp_path}/a/<kubectl kustomize>"
    assert label in load([str(tmp_path)]).broken


@pytest.mark.usefixtures("kubectl")
def test_what_was_never_rendered_is_read_as_it_is(tmp_path: Path) -> None:
    overlays(tmp_path)
    shutil.rmtree(tmp_path / "overlays" / "dev")
    overlay = tmp_path / "overlays" / "prod" / "kustomization.yaml"
    write(tmp_path, overlays__prod__patch="kind: [\n")  # no whole object
    broken = "resources: [../../base, ../../gone.yaml]\npatches: [{path: patch.yaml}]\n"
    overlay.write_text(broken)
    sources = Sources([str(tmp_path)])
    manifests = sources.load()
    assert [str(each.key) for each in manifests.documents] == ["Service default/web"]
    (fault,) = manifests.faults
    assert fault.severity is Severity.WARNING
    assert "failed, so its resources are read as they are: accumulating resources: " in fault.message
    assert manifests.broken == frozenset()
    # Once it was rendered, its last good objects are those that count.
    overlay.write_text("namePrefix: prod-\nresources: [../../base]\n")
    rendered = sources.load(manifests)
    assert [str(each.key) for each in rendered.documents] == ["Service default/prod-web"]
    overlay.write_text(broken)
    again = sources.load(rendered)
    assert (again.documents, again.broken) == ((), frozenset({f"{tmp_path}/overlays/prod/<kubectl kustomize>"}))


@pytest.mark.usefixtures("programs")
def test_without_a_program_the_resources_are_read_as_they_are(tmp_path: Path) -> None:
    overlays(tmp_path)
    shutil.rmtree(tmp_path / "overlays" / "dev")
    write(tmp_path, overlays__prod__patch="kind: [\n")
    (tmp_path / "overlays" / "prod" / "kustomization.yaml").write_text(
        "resources: [../../base]\npatches: [{path: patch.yaml}]\n"
    )
    write(tmp_path, **{"chart__Chart": "apiVersion: v2\nname: web\nversion: 0.1.0\n", "chart__templates__a": "{{ x"})
    assert names(tmp_path) == (
        ["Service default/web"],
        [
            "overlays/prod/kustomization.yaml:1:1: the kustomization overlays/prod is not rendered; its resources are "
            "read as they are",
            "chart/Chart.yaml:1:1: the Helm chart chart is not rendered",
        ],
    )


def test_a_chart_is_rendered_with_values(tmp_path: Path, helm: Path) -> None:
    write(
        tmp_path,
        Chart="apiVersion: v2\nname: shop\nversion: 0.1.0\n",
        values="name: default\n",
        prod="name: production\n",
        templates__web=SERVICE.replace("web", "{{ .Values.name }}"),
    )
    values = str(tmp_path / "prod.yaml")
    manifests = load([str(tmp_path)], [values])
    assert [str(each.key) for each in manifests.documents] == ["Service default/production"]
    assert manifests.documents[0].position.file == f"{tmp_path}/<helm template>"
    given = json.loads(helm.read_text())
    assert given[:7] == ["template", "shop", str(tmp_path), "--namespace", "default", "--skip-tests", "--values"]
    assert given[7] == values
    assert "networking.istio.io/v1/VirtualService" in given[8:]
    assert set(given[8::2]) == {"--api-versions"}


def test_a_chart_that_fails_is_one_line(tmp_path: Path, helm: Path) -> None:
    write(tmp_path, Chart="apiVersion: v2\nname: shop\n", other__Chart="type: library\nname: lib\n")
    assert names(tmp_path)[1] == [
        f"Chart.yaml:1:1: `helm template {tmp_path}` failed: chart has no templates",
    ]
    assert names(tmp_path, "other")[1] == ["other/Chart.yaml:1:1: a library chart has no manifests of its own"]
    assert helm.exists()


def test_values_without_a_chart_are_reported(tmp_path: Path) -> None:
    write(tmp_path, web=SERVICE)
    (fault,) = load([str(tmp_path)], ["values.yaml"]).faults
    assert fault.message == "these values are not used: no Helm chart is rendered"


def test_it_is_rendered_again_when_a_source_changes(tmp_path: Path, helm: Path) -> None:
    write(tmp_path, Chart="apiVersion: v2\nname: shop\n", templates__web=SERVICE)
    sources = Sources([str(tmp_path)])
    first = sources.load()
    helm.unlink()
    assert sources.load(first).documents == first.documents
    assert not helm.exists()  # nothing has changed, so nothing ran
    (tmp_path / "templates" / "more.tpl").write_text(SERVICE.replace("web", "more"))
    assert len(sources.load(first).documents) == 2
    assert sources.rendered == {str(tmp_path)}
    assert sources.printed_from([f"{tmp_path}/templates/web.yaml"]) == {f"{tmp_path}/<helm template>"}
    assert sources.printed_from([f"{tmp_path}.yaml"]) == frozenset()


@pytest.mark.usefixtures("kubectl")
def test_the_sources_of_an_overlay_are_those_of_its_base_too(tmp_path: Path) -> None:
    overlays(tmp_path)
    sources = Sources([str(tmp_path / "overlays" / "prod")])
    before = sources.load()
    assert sources.rendered == {
        f"{tmp_path}/{file}"
        for file in ("overlays/prod/kustomization.yaml", "base/kustomization.yaml", "base/web.yaml")
    }
    (tmp_path / "base" / "web.yaml").write_text(SERVICE.replace("web", "changed"))
    assert [str(each.key) for each in sources.load(before).documents] == ["Service default/prod-changed"]


def _program(folder: Path, text: str) -> str:
    file = folder / "program"
    file.write_text(f"#!{sys.executable}\n{text}")
    file.chmod(0o755)
    return str(file)


def test_a_program_that_does_not_end_is_ended_with_what_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    program = _program(
        tmp_path,
        "import pathlib, subprocess, time\n"
        f"child = subprocess.Popen(['sleep', '1000']); pathlib.Path({str(child)!r}).write_text(str(child.pid))\n"
        "print('kind: Service', flush=True); time.sleep(1000)\n",
    )
    with pytest.raises(tools.ToolFailed, match="no end after 1 s"):
        tools.run([program], timeout=1.0)
    with pytest.raises(ProcessLookupError):
        while True:  # the system takes a moment to reap it
            os.kill(int(child.read_text()), 0)


def test_a_program_that_prints_for_ever_is_ended(tmp_path: Path) -> None:
    program = _program(tmp_path, "while True: print('a' * 100_000)\n")
    with pytest.raises(tools.ToolFailed, match="it prints more than 32 MiB"):
        tools.run([program])


def test_a_program_has_no_input_and_its_complaints_are_bounded(tmp_path: Path) -> None:
    program = _program(
        tmp_path, "import sys\nassert sys.stdin.read() == ''\nsys.stderr.write('x' * 10_000_000)\nprint('done')\n"
    )
    assert tools.run([program]) == b"done\n"
    failing = _program(tmp_path, "import sys\nsys.exit('error: ' + 'x' * 10_000)\n")
    with pytest.raises(tools.ToolFailed) as failed:
        tools.run([failing])
    assert len(str(failed.value)) < 500


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(tools.ToolFailed, match="No such file"):
        tools.run([str(tmp_path / "gone")])
