"""The tools that change a team's files, against a running edge with requests throughout: none of them may fail."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.edge.conftest import GUIDE, Start, Up
from tests.edge.test_changing import answers, replace

pytestmark = pytest.mark.edge

ROUTE = "number: 8072"


def shell(script: str, folder: Path) -> None:
    subprocess.run(["sh", "-ec", script], cwd=folder.parent, env={**os.environ, "OUT": folder.name}, check=True)


def slow_writer(folder: Path) -> None:
    """As `helm template > file`: the shell empties the file long before the first byte comes."""
    shell('for f in ingress gateway; do (sleep 1; cat base/$f.yaml) > "$OUT/$f.yaml"; done', folder)


def writer_in_pieces(folder: Path) -> None:
    shell('(head -c 300 base/ingress.yaml; sleep 1; tail -c +301 base/ingress.yaml) > "$OUT/ingress.yaml"', folder)


def emptied_and_written_again(folder: Path) -> None:
    shell(': > "$OUT/ingress.yaml"; sleep 0.7; cat base/ingress.yaml > "$OUT/ingress.yaml"', folder)


def removed_and_copied(folder: Path) -> None:
    shell('rm -rf "$OUT"; mkdir "$OUT"; cp base/*.yaml "$OUT"', folder)


def rebuilt_slowly(folder: Path) -> None:
    """As a build that removes file by file, works, and writes file by file."""
    for file in sorted(folder.iterdir()):
        file.unlink()
        time.sleep(0.2)
    folder.rmdir()
    time.sleep(1)
    folder.mkdir()
    for file in sorted((folder.parent / "base").iterdir()):
        time.sleep(0.5)
        shutil.copy(file, folder)


def swapped(folder: Path) -> None:
    shell('cp -r base new; mv "$OUT" old; sleep 0.5; mv new "$OUT"; rm -rf old', folder)


def stashed(folder: Path) -> None:
    """Another branch that has nothing but one file, and back."""
    git = "git -c user.name=a -c user.email=a@b"
    shell(
        f'cd "$OUT"; git init -q; {git} add .; {git} commit -qm one; {git} checkout -qb other; '
        f"{git} rm -q ingress.yaml; {git} commit -qm two; {git} checkout -q -; "
        f"echo '#' >> routes.yaml; {git} stash -q; {git} checkout -q other; sleep 0.3; "
        f"{git} checkout -q -; {git} stash pop -q; rm -rf .git",
        folder,
    )


def saved_by_an_editor(folder: Path) -> None:
    """As vim with a backup: the file is away under another name for a moment."""
    for file in sorted(folder.iterdir()):
        file.rename(f"{file}~")
        time.sleep(0.3)
        shutil.copy(f"{file}~", file)
        Path(f"{file}~").unlink()


def moved_to_other_files(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        file.rename(folder / f"renamed-{file.name}")
        time.sleep(0.3)


TOOLS: list[Callable[[Path], None]] = [
    slow_writer, writer_in_pieces, emptied_and_written_again, removed_and_copied, rebuilt_slowly, swapped, stashed,
    saved_by_an_editor, moved_to_other_files,
]  # fmt: skip


def balancer(edge: Up) -> dict[str, Any]:
    (found,) = edge.status()["hops"][1]["load_balancers"]
    assert isinstance(found, dict)
    return found


@contextmanager
def requests(edge: Up) -> Iterator[Counter[str]]:
    """Ask the load balancer all the time, with a connection a request; how often it answered what."""
    to = balancer(edge)
    port = next(each["local_port"] for each in to["listeners"] if each["port"] == 443)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    answered: Counter[str] = Counter()
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.02):
            client = http.client.HTTPSConnection(to["address"], port, context=context, timeout=20)
            try:
                client.request("GET", "/", headers={"Host": "quay.example"})
                answered[str(client.getresponse().status)] += 1
            except OSError as error:
                answered[repr(error)] += 1
            finally:
                client.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answered
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def followed(up: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Up, Path]:
    """An edge of a folder, beside which ``base`` has the same files."""
    root = tmp_path_factory.mktemp("followed")
    shutil.copytree(GUIDE, root / "base")
    shutil.copytree(GUIDE, root / "out")
    return up(root / "out").ready(), root / "out"


@pytest.mark.parametrize("tool", TOOLS)
def test_no_request_is_lost_and_the_next_edit_counts(followed: tuple[Up, Path], tool: Callable[[Path], None]) -> None:
    edge, folder = followed
    before = balancer(edge)
    with requests(edge) as answered:
        tool(folder)
        routes = next(folder.glob("*routes.yaml"))
        port = 9000 + TOOLS.index(tool)
        replace(routes, ROUTE, f"number: {port}")
        served = partial(answers, edge, "https://quay.example/", f"quay-service:{port}")
        edge.wait(until=served, what="the edit that follows")
        replace(routes, f"number: {port}", ROUTE)
        edge.wait(until=lambda: answers(edge, "https://quay.example/", "quay-service:8072"), what="the edit undone")
        time.sleep(1.5)  # what went missing would be removed by now
    assert set(answered) == {"200"}, answered
    assert answered.total() > 20
    assert {name: balancer(edge)[name] for name in ("arn", "dns_name")} == {
        name: before[name] for name in ("arn", "dns_name")
    }


def test_the_target_of_a_link_is_followed(followed: tuple[Up, Path]) -> None:
    edge, folder = followed
    outside = folder.parent / "outside"
    outside.mkdir()
    routes = next(folder.glob("*routes.yaml"))
    routes.rename(outside / "r.yaml")
    routes.symlink_to(outside / "r.yaml")
    replace(outside / "r.yaml", ROUTE, "number: 9100")
    edge.wait(until=lambda: answers(edge, "https://quay.example/", "quay-service:9100"), what="the link's target")
    routes.unlink()
    (outside / "r.yaml").rename(routes)
    replace(routes, "number: 9100", ROUTE)
    edge.wait(until=lambda: answers(edge, "https://quay.example/", "quay-service:8072"), what="the file itself")


def test_a_removed_folder_is_reported_and_its_objects_are_served(followed: tuple[Up, Path]) -> None:
    edge, folder = followed
    with requests(edge) as answered:
        folder.rename(folder.with_name("away"))
        assert "the last good state goes on serving" in edge.until(f"{folder} does not exist")
        assert "LG9008" in {each["code"] for each in edge.status()["faults"]}
        assert answers(edge, "https://quay.example/", "quay-service:8072")
        folder.with_name("away").rename(folder)
        edge.until("all files are back")
        assert "LG9008" not in {each["code"] for each in edge.status()["faults"]}
    assert set(answered) == {"200"}, answered


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows writers")
def test_a_file_that_stays_open_is_reported(followed: tuple[Up, Path]) -> None:
    edge, folder = followed
    routes = next(folder.glob("*routes.yaml"))
    text = routes.read_text()
    with routes.open("w") as file:
        assert "the last good state goes on serving" in edge.until(f"{routes} is being written")
        file.write(text)
    edge.until("all files are back")


def test_a_folder_moved_in_and_out(followed: tuple[Up, Path]) -> None:
    edge, folder = followed
    more = folder.parent / "more"
    more.mkdir()
    (more / "teapot.yaml").write_text(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: teapot}\n"
        "spec:\n  hosts: [tea.quay.example]\n  gateways: [istio-system/quay]\n"
        "  http: [{directResponse: {status: 418}}]\n"
    )
    more.rename(folder / "more")
    edge.until("created VirtualService default/teapot")
    replace(folder / "more" / "teapot.yaml", "418", "419")
    edge.until("changed VirtualService default/teapot")
    (folder / "more").rename(more)
    edge.until("removed VirtualService default/teapot")


def test_an_object_deleted_with_kubectl_is_back_when_its_file_is_saved(followed: tuple[Up, Path]) -> None:
    edge, folder = followed
    routes = next(folder.glob("*routes.yaml"))
    edge.exec("kubectl", "delete", "virtualservice", "quay")

    def state() -> str:
        return next(str(each["state"]) for each in edge.status()["objects"] if each["kind"] == "VirtualService")

    assert state() == "deleted"
    next(folder.glob("*ingress.yaml")).touch()
    assert state() == "deleted"
    routes.touch()
    edge.until("restored VirtualService default/quay")
    assert state() == "served"


def test_an_edit_with_kubectl_stays_until_the_text_of_its_object_changes(followed: tuple[Up, Path]) -> None:
    edge, folder = followed
    routes = next(folder.glob("*routes.yaml"))
    patch = '{"spec": {"http": [{"directResponse": {"status": 299}}]}}'
    edge.exec("kubectl", "patch", "virtualservice", "quay", "--type", "merge", "-p", patch)
    edge.wait(until=lambda: answers(edge, "https://quay.example/", "299"), what="the patch")
    routes.write_text(f"# a comment\n{routes.read_text()}")
    (folder / "barrier.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: barrier}\n")
    edge.until("created ConfigMap default/barrier")
    assert answers(edge, "https://quay.example/", "299")
    replace(routes, ROUTE, "number: 9200")
    edge.wait(until=lambda: answers(edge, "https://quay.example/", "quay-service:9200"), what="the file's text")


def test_faults_and_objects_name_the_lines_where_they_are_now(followed: tuple[Up, Path]) -> None:
    edge, folder = followed
    ingress = next(folder.glob("*ingress.yaml"))
    text = ingress.read_text()
    replace(ingress, "  annotations:\n", "  annotations:\n    alb.ingress.kubernetes.io/scheem: internal\n")
    edge.until("[LG1101]")

    def lines() -> tuple[int, int]:
        reported = edge.status()
        (fault,) = (each for each in reported["faults"] if each["code"] == "LG1101")
        (source,) = (each["source"] for each in reported["objects"] if each["kind"] == "Ingress")
        return fault["position"]["line"], int(source.split(":")[-2])

    before = lines()
    ingress.write_text("# one\n# two\n" + ingress.read_text())
    edge.wait(until=lambda: lines() == (before[0] + 2, before[1] + 2), what="the lines of the unchanged Ingress")
    ingress.write_text(text)


def test_settings_that_change_are_reported_to_count_at_the_next_start(followed: tuple[Up, Path]) -> None:
    edge, folder = followed
    (folder / "lockgate.yaml").write_text("region: us-west-2\n")
    edge.until("lockgate.yaml has changed; that counts when the edge starts again")
    (folder / "lockgate.yaml").unlink()
    edge.until("lockgate.yaml has changed")


@pytest.mark.skipif(sys.platform != "linux", reason="Envoys end with a killed supervisor a moment later elsewhere")
def test_nothing_runs_on_after_a_crash_and_the_next_start_is_the_same_edge(up: Start) -> None:
    edge = up(GUIDE, name="crash").ready()
    before = balancer(edge)
    pids = [envoy["pid"] for envoy in edge.status()["envoys"].values()]
    edge.process.kill()
    edge.process.wait()
    for pid in pids:
        edge.wait(until=lambda pid=pid: not _runs(pid), what=f"Envoy {pid} ends")  # type: ignore[misc]
    assert edge.lockgate("status", check=False).returncode == 1
    again = up(GUIDE, name="crash").ready()
    names = ("arn", "dns_name", "address", "listeners")
    assert [balancer(again)[name] for name in names] == [before[name] for name in names]


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
