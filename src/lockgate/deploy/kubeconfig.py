"""The cluster that a kubeconfig names: its address and credentials, and its name and region in EKS.

lightkube reads the credentials, among them those of exec plugins such as `aws eks get-token`. It does not read several
files, nor the `v1` of the plugins' API, whose answer has its token where that of `v1beta1` has it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lockgate.errors import CommandError

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import SingleConfig

_ARN: Final = re.compile(r"arn:aws[a-z-]*:eks:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):cluster/(?P<name>[\w-]+)")
_EKSCTL: Final = re.compile(r"(?:.*@)?(?P<name>[\w-]+)\.(?P<region>[a-z0-9-]+)\.eksctl\.io")
_LARGEST: Final = 4 * 1024 * 1024  # bytes
_PLUGINS: Final = "client.authentication.k8s.io"


class NoCluster(CommandError):
    """No kubeconfig, or none with the context."""

    hint = "set KUBECONFIG, or name a context with --context; `aws eks update-kubeconfig --name NAME` writes one"


@dataclass(frozen=True, slots=True)
class Context:
    """`cluster`, `region` and `account` are EKS's, each "" if the kubeconfig does not say."""

    name: str
    server: str
    cluster: str
    region: str
    account: str
    config: SingleConfig


def context(name: str | None = None, files: str | None = None) -> Context:
    """The context of this name, or the current one, of `files` or else KUBECONFIG's. Raises `NoCluster`, OSError."""
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.core.exceptions import ConfigError

    merged = _merged(files or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser()))
    try:
        found = KubeConfig.from_dict(merged).get(name)
        assert found is not None
    except (ConfigError, KeyError, TypeError, AttributeError) as error:
        named = sorted(each["name"] for each in merged["contexts"])
        raise NoCluster(f"{name or 'the current context'}: {error}; there are {', '.join(named) or 'none'}") from None
    if found.user is None:
        raise NoCluster(f"context {found.context_name} has no user")
    plugin = found.user.exec
    arguments = list(plugin.args or ()) if plugin else []
    cluster, region, account = _eks(found.context_name, str(found.context.cluster), arguments)
    return Context(found.context_name, found.cluster.server, cluster, region, account, found)


def _eks(context: str, cluster: str, arguments: list[str]) -> tuple[str, str, str]:
    for text in (context, cluster):
        if match := _ARN.fullmatch(text) or _EKSCTL.fullmatch(text):
            return match["name"], match["region"], match.groupdict().get("account") or ""
    options = dict(pairwise(arguments))
    name = options.get("--cluster-name") or options.get("--cluster-id") or options.get("-i") or ""
    return name, options.get("--region", ""), ""


def _merged(paths: str) -> dict[str, Any]:
    """All files; of entries with one name the first counts, as with kubectl."""
    import yaml

    merged: dict[str, Any] = {"clusters": [], "contexts": [], "users": [], "current-context": None}
    for path in filter(None, paths.split(os.pathsep)):
        file = Path(path).expanduser()
        if not file.is_file():
            continue
        with file.open("rb") as stream:
            text = stream.read(_LARGEST + 1)
        try:
            read = yaml.safe_load(text) if len(text) <= _LARGEST else None
        except yaml.YAMLError as error:
            raise NoCluster(f"{file}: {str(error).splitlines()[0]}") from None
        if not isinstance(read, dict):
            raise NoCluster(f"{file} is not a kubeconfig")
        for part in ("clusters", "contexts", "users"):
            known = {each["name"] for each in merged[part]}
            found = [each for each in read.get(part) or () if isinstance(each, dict) and each.get("name")]
            merged[part] += [_placed(each, file.parent) for each in found if each["name"] not in known]
        merged["current-context"] = merged["current-context"] or read.get("current-context")
    if not merged["contexts"]:
        raise NoCluster(f"no context in {paths}")
    clusters = {each["name"]: each["cluster"] for each in merged["clusters"]}
    for each in merged["contexts"]:
        context, users = each["context"], merged["users"]
        for user in (user for user in users if user["name"] == context.get("user")):
            user["user"] = _with_plugin(user.get("user") or {}, clusters.get(context.get("cluster"), {}))
    return merged


def _placed(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The entry with absolute paths: those in a kubeconfig are relative to it."""
    (kind, value), *_ = [(key, each) for key, each in entry.items() if key != "name"] or [("user", {})]
    files = dict(_files(value or {}, folder))
    return {"name": entry["name"], kind: {**(value or {}), **files}}


def _files(value: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    for key in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
        if key in value:
            yield key, str(folder / value[key])
    plugin = value.get("exec") or {}
    if "/" in str(plugin.get("command", "")):
        yield "exec", {**plugin, "command": str(folder / plugin["command"])}  # type: ignore[misc]


def _with_plugin(user: dict[str, Any], cluster: Mapping[str, Any]) -> dict[str, Any]:
    plugin = user.get("exec")
    if not isinstance(plugin, dict):
        return user
    version = str(plugin.get("apiVersion", ""))
    asked = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    if plugin.get("provideClusterInfo"):
        asked["spec"] = {
            "interactive": False,
            "cluster": {
                "server": cluster.get("server", ""),
                "certificate-authority-data": cluster.get("certificate-authority-data", ""),
            },
        }
    env = [each for each in plugin.get("env") or () if each.get("name") != "KUBERNETES_EXEC_INFO"]
    env.append({"name": "KUBERNETES_EXEC_INFO", "value": json.dumps(asked)})
    same = f"{_PLUGINS}/v1beta1" if version == f"{_PLUGINS}/v1" else version
    return {**user, "exec": {**plugin, "apiVersion": same, "env": env}}
