"""Kubeconfigs as `aws eks update-kubeconfig`, eksctl and people write them, and their exec plugins."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.deploy.account import NoAccount, NoRegion, region_of
from lockgate.deploy.cluster import Cluster, NotAccepted
from lockgate.deploy.kubeconfig import NoCluster, context
from lockgate.embedded.kubernetes.api import KubernetesApi
from lockgate.embedded.kubernetes.store import Store

ARN = "arn:aws:eks:eu-west-1:123456789012:cluster/prod"
PLUGIN = """\
#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" >> {folder}/asked
echo "a notice" >&2
count=$(wc -l < {folder}/asked)
if [ "$count" -gt {stale} ]; then token=right; else token=wrong; fi
echo '{{"kind": "ExecCredential", "status": {{"token": "'$token'"}}}}'
"""


def config(name: str = ARN, server: str = "https://127.0.0.1:1", user: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user or {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


def write(file: Path, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("KUBECONFIG", str(file))


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        (ARN, [], ("prod", "eu-west-1", "123456789012")),
        ("me@prod.eu-west-1.eksctl.io", [], ("prod", "eu-west-1", "")),
        ("work", ["--region", "eu-west-1", "eks", "get-token", "--cluster-name", "prod"], ("prod", "eu-west-1", "")),
        ("work", ["token", "-i", "prod"], ("prod", "", "")),
        ("minikube", [], ("", "", "")),
    ],
)
def test_the_cluster_in_eks(
    name: str, arguments: list[str], found: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": arguments}
    write(tmp_path / "config", config(name, user={"exec": plugin} if arguments else None), monkeypatch)
    made = context()
    assert (made.cluster, made.region, made.account) == found


def test_of_several_files_the_first_entry_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, missing = tmp_path / "one", tmp_path / "other", tmp_path / "missing"
    one.write_text(yaml.safe_dump(config("a", "https://one")))
    other.write_text(yaml.safe_dump(config("a", "https://other") | {"current-context": "b"}))
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, (missing, one, other))))
    assert context().server == "https://one"
    with pytest.raises(NoCluster, match="there are a"):
        context("b")


@pytest.mark.parametrize("text", ["[]", "a: [", "contexts: []", "contexts: [{name: a, context: {cluster: b}}]"])
def test_what_is_no_kubeconfig_is_refused_in_one_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(NoCluster) as error:
        context("a")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("stale", [0, 1])
def test_exec_plugins(version: str, stale: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin runs again after a token that is not accepted, and learns what kubectl would tell it."""
    plugin = tmp_path / "plugin"
    plugin.write_text(PLUGIN.format(folder=tmp_path, version=version, stale=stale))
    plugin.chmod(0o755)

    async def run() -> None:
        api = KubernetesApi(Store(), token="right")
        await api.start()
        try:
            user = {"exec": {"apiVersion": f"client.authentication.k8s.io/{version}", "command": "./plugin"}}
            write(tmp_path / "config", config(server=api.url, user=user), monkeypatch)
            async with Cluster(context()) as cluster:
                for _ in range(2):
                    names = [each["metadata"]["name"] for each in await cluster.objects("v1", "namespaces")]
                    assert "default" in names
        finally:
            await api.stop()

    asyncio.run(asyncio.wait_for(run(), 60))
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert len(asked) == 1 + stale
    assert {each["apiVersion"] for each in asked} == {f"client.authentication.k8s.io/{version}"}


def test_a_token_that_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        api = KubernetesApi(Store(), token="right")
        await api.start()
        try:
            write(tmp_path / "config", config(server=api.url, user={"token": "wrong"}), monkeypatch)
            async with Cluster(context()) as cluster:
                with pytest.raises(NotAccepted) as error:
                    await cluster.objects("v1", "namespaces")
                assert "wrong" not in str(error.value)
        finally:
            await api.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_the_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert region_of("eu-west-2", "eu-west-1", None) == "eu-west-2"
    assert region_of(None, "eu-west-1", None) == "eu-west-1"
    with pytest.raises(NoRegion):
        region_of(None, "", None)
    with pytest.raises(NoRegion, match="mars"):
        region_of("mars", "", None)
    with pytest.raises(NoAccount, match="nope"):
        region_of(None, "", "nope")
    monkeypatch.setenv("AWS_REGION", "ap-northeast-2")
    assert region_of(None, "", None) == "ap-northeast-2"
