"""Installs releases with the user's own helm, in the cluster of the plan."""

from __future__ import annotations

import asyncio
import os
import shutil

from lockgate.deploy.kubeconfig import Context
from lockgate.deploy.planning.releases import Release
from lockgate.errors import CommandError

_MINUTES = 10


class HelmFailed(CommandError):
    """helm is missing, or has failed."""

    hint = "run the command yourself to see more: `lockgate plan --install --output json` has the values"


def command(release: Release, context: Context) -> list[str]:
    """Waits for the release's Pods, so that its webhooks answer when the next step needs them."""
    version = ["--version", release.version] if release.version else []
    chart = release.chart.partition("/")[2]
    return [
        *("helm", "upgrade", "--install", release.name, chart, "--repo", release.repository),
        *("--kube-context", context.name, "--namespace", release.namespace, "--create-namespace"),
        *("--wait", "--timeout", f"{_MINUTES}m", *version, "--values", "-"),
    ]


async def install(release: Release, context: Context) -> None:
    """Raises `HelmFailed`."""
    import yaml

    if shutil.which("helm") is None:
        raise HelmFailed("there is no helm on PATH")
    process = await asyncio.create_subprocess_exec(
        *command(release, context),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(os.environ),
    )
    said, _ = await process.communicate(yaml.safe_dump(release.values, sort_keys=False).encode())
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        raise HelmFailed(f"helm cannot install {release.name}: {last[0]}")
