"""Helm releases: which `helm` is asked for, after one was killed, and which are an edge's."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from lockgate.deploy import helm
from lockgate.deploy.helm import HelmFailed
from lockgate.deploy.planning.releases import Installation, Release, installed_by
from lockgate.resources.model import JsonObject, ObjectKey
from tests.deploy.deploy_rig import rig

# It writes down how it was called; the real one was tried by hand.
SCRIPT = '#!/bin/sh\necho "$@" >> {said}\ncat > /dev/null\nexit {code}\n'
CHART = Release("cert-manager", "jetstack/cert-manager", "cert-manager", {"a": 1})


def release(name: str, edge: str, status: str = "deployed", at: str = "2026-11-29T20:00:00Z") -> JsonObject:
    labels = {"owner": "helm", "name": name, "status": status, "lockgate.dev/installed-by": edge}
    metadata = {"name": f"sh.helm.release.v1.{name}.v1", "namespace": "cert-manager", "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {**metadata, "creationTimestamp": at}}


def test_an_edge_has_the_releases_with_its_label_the_newest_first() -> None:
    there = [release("a", "shop"), release("b", "shop", at="2026-11-29T20:05:00Z"), release("c", "other")]
    raw = {ObjectKey("", "Secret", "cert-manager", each["metadata"]["name"]): each for each in there}
    assert installed_by("shop", raw) == [Installation("b", "cert-manager"), Installation("a", "cert-manager")]


@pytest.mark.parametrize(
    ("status", "code", "asked"),
    [
        ("", 0, ["upgrade"]),
        ("deployed", 0, ["upgrade"]),
        ("pending-install", 0, ["uninstall", "upgrade"]),
        ("", 1, ["upgrade"]),
    ],
)
def test_what_a_killed_helm_left_is_uninstalled_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, code: int, asked: list[str]
) -> None:
    said, script = tmp_path / "said", tmp_path / "helm"
    script.write_text(SCRIPT.format(said=said, code=code))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(helm, "_MINUTES", 0)  # nobody is still at work

    async def run() -> None:
        async with rig(tmp_path, controllers=False) as made:
            if status:
                await made.store.create(release("cert-manager", "rig", status))
            await helm.install(CHART, made.session.cluster, "rig", print)

    if code:
        with pytest.raises(HelmFailed, match="helm cannot install cert-manager: exit code 1"):
            asyncio.run(asyncio.wait_for(run(), 60))
    else:
        asyncio.run(asyncio.wait_for(run(), 60))
    calls = [each.split() for each in said.read_text().splitlines()]
    assert [each[0] for each in calls] == asked
    assert "--labels lockgate.dev/installed-by=rig" in " ".join(calls[-1])
    assert "--repo https://charts.jetstack.io" in " ".join(calls[-1])
