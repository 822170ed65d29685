"""An account and a cluster in this process, without controllers, and a session that plans and applies against them.

The session reaches them as any client does: over HTTP, with a kubeconfig and keys in the environment.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate.deploy.planning.plan import Wishes
from lockgate.deploy.session import Session, Target, session
from lockgate.edge.empty import emptied
from lockgate.edge.plan import plan
from lockgate.embedded.aws import AwsApi
from lockgate.embedded.aws.eks import Cluster
from lockgate.embedded.kubernetes.api import KubernetesApi
from lockgate.embedded.kubernetes.kubeconfig import kubeconfig
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources import core, workloads
from lockgate.runtime import settings
from lockgate.runtime.loader import Loader
from lockgate.runtime.reading import files

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ROOT = Path(__file__).parents[2]
EDGE = ROOT / "examples" / "edge"


@dataclass
class Rig:
    aws: AwsApi
    kubernetes: KubernetesApi
    store: Store
    session: Session


@asynccontextmanager
async def rig(
    folder: Path, path: Path = EDGE, *, wishes: Wishes | None = None, zones: bool = True, controllers: bool = True
) -> AsyncIterator[Rig]:
    """What a team has before: zones, controllers, and what the manifests of `path` take for granted."""
    manifests, options = files.load((str(path),)), settings.options((str(path),), name="rig")
    before = emptied(plan(manifests, options), "rig")
    place = before.supply.place
    aws = AwsApi(place.account, place.region, access_key_id=KEY, secret_access_key=SECRET)
    store = Store()
    kubernetes = KubernetesApi(store, token="token")
    await aws.start()
    await kubernetes.start()
    aws.cluster = Cluster("rig", kubernetes.url, "", "https://oidc.example")
    try:
        for zone in before.supply.zones if zones else ():
            await aws.create_hosted_zone(zone.name, zone.zone_id or "Z1")
        supplied = (*before.supply.objects, *before.supply.control_plane)
        kept = [each for each in supplied if controllers or each.manifest["kind"] != "Deployment"]
        await Loader(store).load(before.manifests, kept)
        written = {each.key for each in manifests.documents}
        for service in before.given.all(core.Service) if controllers else ():
            if service.key not in written:
                await store.apply(service.manifest(), manager="istioctl")
        for deployment in await store.list(workloads.Deployment):
            status = {"availableReplicas": 1}
            await store.patch_status(workloads.Deployment, deployment.name, deployment.namespace, status)
        context = f"arn:aws:eks:{place.region}:{place.account}:cluster/rig"
        file = folder / "kubeconfig"
        file.write_text(kubeconfig(kubernetes.url, "", "token", name=context))
        with environment(KUBECONFIG=str(file), AWS_ENDPOINT_URL=aws.url, AWS_ACCESS_KEY_ID=KEY,
                          AWS_SECRET_ACCESS_KEY=SECRET):  # fmt: skip
            async with session(Target(), manifests, options, wishes or Wishes()) as opened:
                yield Rig(aws, kubernetes, store, opened)
    finally:
        await kubernetes.stop()
        await aws.stop()


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in (*variables, "AWS_PROFILE", "AWS_SESSION_TOKEN")}
    os.environ.pop("AWS_PROFILE", None)
    os.environ.pop("AWS_SESSION_TOKEN", None)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Quiet:
    """Progress that only remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def planned(self, plan: object) -> None: ...

    def began(self, step: object) -> None: ...

    def noted(self, text: str) -> None:
        self.said.append(text)

    def gone(self, text: str) -> None:
        self.said.append(text)

    def done(self, step: object, seconds: float) -> None: ...

    def failed(self, step: object, reason: str) -> None:
        self.said.append(reason)


async def no_requests(url: str, count: int) -> list[str]:
    raise AssertionError("nothing is probed here")
