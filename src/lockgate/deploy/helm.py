"""Installs releases with the user's own helm, in the cluster of the plan."""

from __future__ import annotations

import asyncio
import os
import shutil

from lockgate.deploy.kubeconfig import Context
from lockgate.deploy.planning.releases import Installation, Release
from lockgate.deploy.planning.seen import RELEASE_LABEL
from lockgate.errors import CommandError

_MINUTES = 10


class HelmFailed(CommandError):
    """helm is missing, or has failed."""

    hint = "run the command yourself to see more: `lockgate plan --install --output json` has the values"


def command(release: Release, context: Context, edge: str) -> list[str]:
    """Waits for the release's Pods, so that its webhooks answer when the next step needs them.

    The label says which releases `destroy --installed` may uninstall.
    """
    version = ["--version", release.version] if release.version else []
    chart = release.chart.partition("/")[2]
    source = [release.place] if release.place else [chart, "--repo", release.repository]
    return [
        *("helm", "upgrade", "--install", release.name, *source),
        *("--kube-context", context.name, "--namespace", release.namespace, "--create-namespace"),
        *("--labels", f"{RELEASE_LABEL}={edge}"),
        *("--wait", "--timeout", f"{_MINUTES}m", *version, "--values", "-"),
    ]


async def install(release: Release, context: Context, edge: str) -> None:
    """Raises `HelmFailed`."""
    import yaml

    values = yaml.safe_dump(release.values, sort_keys=False)
    await _run(command(release, context, edge), f"install {release.name}", values)


async def uninstall(release: Installation, context: Context) -> None:
    """Waits until its objects are gone. Raises `HelmFailed`."""
    where = ("--kube-context", context.name, "--namespace", release.namespace)
    await _run(
        ["helm", "uninstall", release.name, *where, "--wait", "--ignore-not-found"], f"uninstall {release.name}", ""
    )


async def _run(arguments: list[str], what: str, values: str) -> None:
    if shutil.which("helm") is None:
        raise HelmFailed("there is no helm on PATH")
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(os.environ),
    )
    said, _ = await process.communicate(values.encode())
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        raise HelmFailed(f"helm cannot {what}: {last[0]}")
