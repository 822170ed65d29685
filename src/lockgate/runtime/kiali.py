"""Kiali for a running edge: its configuration, and the command that runs it.

Source: Kiali's documentation, "Configuration"; a Kiali 2.31 that ran against an edge.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from lockgate.metrics.labels import CLUSTER
from lockgate.runtime.state import StateFolder, write_private

IMAGE: Final = "quay.io/kiali/kiali:v2.31"


def configuration(about: Mapping[str, Any], port: int) -> str:
    """The file of ``kiali run --config``."""
    return yaml.safe_dump(
        {
            "auth": {"strategy": "anonymous"},
            "deployment": {"cluster_wide_access": True},
            # So that the clusters of metrics and of objects are one.
            "kubernetes_config": {"cluster_name": CLUSTER},
            "server": {"address": "127.0.0.1", "port": port},
            "external_services": {
                "prometheus": {"url": about["addresses"]["prometheus"]},
                "grafana": {"enabled": False},
                "tracing": {"enabled": False},
            },
        },
        sort_keys=False,
    )


def prepare(folder: StateFolder, about: Mapping[str, Any], port: int) -> Path:
    """Writes the configuration beside the edge's other files."""
    file = folder.path / "kiali.yaml"
    write_private(file, configuration(about, port))
    return file


def program(file: Path, kubeconfig: str) -> list[str] | None:
    """The command of the `kiali` on PATH; None if there is none."""
    found = shutil.which("kiali")
    return [found, *_arguments(str(file), kubeconfig)] if found else None


def container(file: Path, kubeconfig: str) -> str:
    """The shell command that runs it in a container, as the owner of the files."""
    mounts = [each for path in (str(file), kubeconfig) for each in ("--volume", f"{path}:{path}:ro")]
    options = ["--rm", "--network", "host", *mounts]
    command = " ".join(map(shlex.quote, ["docker", "run", *options, "--user"]))
    return f'{command} "$(id -u)" {" ".join(map(shlex.quote, [IMAGE, *_arguments(str(file), kubeconfig)]))}'


def _arguments(file: str, kubeconfig: str) -> list[str]:
    return ["run", "--config", file, "--kubeconfig", kubeconfig, "--no-browser"]
