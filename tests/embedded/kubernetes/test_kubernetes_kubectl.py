"""Sessions of tests/cases/embedded/kubernetes/kubectl.yaml, typed into the real kubectl."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import pytest
import yaml
from kubernetes_rig import Cluster, cluster, kubectls

from lockgate.resources import core, networking
from lockgate.resources.model import JsonObject

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/embedded/kubernetes/kubectl.yaml").read_text())
pytestmark = pytest.mark.skipif(not kubectls(), reason="no kubectl on this machine")


def _sessions() -> list[tuple[str, JsonObject]]:
    """Each with the first kubectl, those marked `both` with all."""
    return [
        (program, session)
        for session in CASES["sessions"]
        for program in (kubectls() if session.get("both") else kubectls()[:1])
    ]


def _holds(expected: str, shown: str) -> bool:
    if expected.startswith("/") and expected.endswith("/"):
        return re.search(expected[1:-1], shown) is not None
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    return any(expected in line for line in lines)


@pytest.mark.parametrize(
    ("program", "session"), _sessions(), ids=lambda value: value["name"] if isinstance(value, dict) else value
)
def test_session(program: str, session: JsonObject, tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path) as kubernetes:
            for step in session["steps"]:
                text = step.get("stdin", "")
                code, out, err = await kubernetes.kubectl(
                    *_words(step["run"]), stdin=CASES["files"].get(text, text), program=program
                )
                shown = f"$ kubectl {step['run']}\n{out}{err}[exit {code}]"
                assert code == step.get("exit", 0), shown
                for stream, text in (("out", out), ("err", err)):
                    for expected in step.get(stream, ()):
                        assert _holds(expected, text), f"{expected!r} is not in {stream} of\n{shown}"
                if step.get("out") == []:
                    assert not out.strip(), shown

    asyncio.run(asyncio.wait_for(story(), 120))


def _words(line: str) -> list[str]:
    """At spaces; quotes belong to the JSON in an argument."""
    lexer = shlex.shlex(line, posix=False)
    lexer.whitespace_split = True
    lexer.quotes = ""
    lexer.commenters = ""
    return list(lexer)


def test_a_kustomization_is_applied(tmp_path: Path) -> None:
    async def story() -> None:
        folder = tmp_path / "overlay"
        folder.mkdir()
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "1"}}
        (folder / "map.yaml").write_text(yaml.safe_dump(manifest))
        wanted = {"resources": ["map.yaml"], "namePrefix": "my-", "labels": [{"pairs": {"team": "x"}}]}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
        async with cluster(tmp_path) as kubernetes:
            for expected in ("created", "unchanged"):
                code, out, err = await kubernetes.kubectl("apply", "-k", "overlay")
                assert (code, out) == (0, f"configmap/my-a {expected}\n"), err
            found = await kubernetes.store.get(core.ConfigMap, "my-a", "default")
            assert found.metadata.labels == {"team": "x"}

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_watch_reports_changes(tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path) as kubernetes:
            process = await asyncio.create_subprocess_exec(
                kubectls()[0],
                *("get", "cm", "-w", "--output-watch-events"),
                stdout=asyncio.subprocess.PIPE,
                cwd=tmp_path,
                env={"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "config")},
            )
            assert process.stdout is not None
            try:
                await _create(kubernetes, "first")
                assert (await process.stdout.readline()).split() == [b"EVENT", b"NAME", b"DATA", b"AGE"]
                assert (await process.stdout.readline()).split()[:3] == [b"ADDED", b"first", b"1"]
                await kubernetes.store.patch(core.ConfigMap, "first", "default", {"data": {"b": "2"}})
                assert (await process.stdout.readline()).split()[:3] == [b"MODIFIED", b"first", b"2"]
                await kubernetes.store.delete(core.ConfigMap, "first", "default")
                assert (await process.stdout.readline()).split()[:3] == [b"DELETED", b"first", b"2"]
            finally:
                process.kill()
                await process.wait()
            while kubernetes.api.watches:  # over HTTP/2 too, a client that dies is noticed
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(story(), 30))


def test_describe_shows_the_events_of_an_object(tmp_path: Path) -> None:
    async def story() -> None:
        async with cluster(tmp_path) as kubernetes:
            await kubernetes.store.create(
                {
                    "apiVersion": "networking.k8s.io/v1",
                    "kind": "Ingress",
                    "metadata": {"name": "alb"},
                    "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
                }
            )
            ingress = await kubernetes.store.get(networking.Ingress, "alb", "default")
            await kubernetes.store.create(
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": "alb.1", "namespace": "default"},
                    "involvedObject": {
                        "apiVersion": "networking.k8s.io/v1",
                        "kind": "Ingress",
                        "name": "alb",
                        "namespace": "default",
                        "uid": ingress.metadata.uid,
                    },
                    "type": "Normal",
                    "reason": "SuccessfullyReconciled",
                    "message": "Successfully reconciled",
                    "source": {"component": "ingress"},
                    "firstTimestamp": ingress.metadata.creation_timestamp,
                    "lastTimestamp": ingress.metadata.creation_timestamp,
                    "count": 1,
                }
            )
            _, described, _ = await kubernetes.kubectl("describe", "ingress", "alb")
            assert re.search(r"Normal +SuccessfullyReconciled +\S+ +ingress +Successfully reconciled", described)
            _, events, _ = await kubernetes.kubectl("events", "--for", "ingress/alb")
            assert re.search(r"Normal +SuccessfullyReconciled +Ingress/alb +Successfully reconciled", events)
            _, events, _ = await kubernetes.kubectl("get", "events")
            assert re.search(r"Normal +SuccessfullyReconciled +ingress/alb +Successfully reconciled", events)

    asyncio.run(asyncio.wait_for(story(), 30))


async def _create(kubernetes: Cluster, name: str) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}
    await kubernetes.store.create(manifest)
