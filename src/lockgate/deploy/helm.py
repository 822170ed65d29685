"""Installs releases with the user's own helm, in the cluster of the plan."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from lockgate.deploy.cluster import Cluster
from lockgate.deploy.kubeconfig import Context
from lockgate.deploy.planning.releases import Installation, Release
from lockgate.deploy.planning.seen import RELEASE_LABEL
from lockgate.deploy.waiting import until
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


async def install(release: Release, cluster: Cluster, edge: str, report: Callable[[str], None]) -> None:
    """Raises `HelmFailed`, `StepFailed`."""
    import yaml

    values = yaml.safe_dump(release.values, sort_keys=False)
    await _resolve_pending(release, cluster, report)
    await _run(command(release, cluster.context, edge), f"install {release.name}", values)


async def _resolve_pending(release: Release, cluster: Cluster, report: Callable[[str], None]) -> None:
    """A killed helm leaves its release pending, and helm refuses to touch it. One that outlived a killed `apply` may
    still be at work, for as long as its timeout."""
    selector = f"owner=helm,name={release.name},status=pending-install"

    async def working() -> str:
        listed = await cluster.objects(
            "v1", "secrets", namespace=release.namespace, labels=selector, metadata_only=True
        )
        begun = [datetime.fromisoformat(each["metadata"]["creationTimestamp"]) for each in listed]
        if not begun or datetime.now(UTC) - min(begun) > timedelta(minutes=_MINUTES):
            return ""
        return "another helm has begun to install it"

    await until(working, f"Helm release {release.name}", report, longest=(_MINUTES + 1) * 60.0)
    if await cluster.objects("v1", "secrets", namespace=release.namespace, labels=selector, metadata_only=True):
        await uninstall(Installation(release.name, release.namespace), cluster.context)


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
