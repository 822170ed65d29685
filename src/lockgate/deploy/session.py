"""A connection to one cluster and one account, for a verb of `deploy`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lockgate.deploy.account import Account, region_of
from lockgate.deploy.cluster import Cluster
from lockgate.deploy.kubeconfig import context
from lockgate.deploy.observing import Observer
from lockgate.deploy.planning.plan import Plan, Wishes, decide
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: a context of the kubeconfig, a profile of AWS, a region. None means what the environment says."""

    context: str | None = None
    profile: str | None = None
    region: str | None = None


@dataclass(slots=True)
class Session:
    cluster: Cluster
    account: Account
    manifests: Manifests
    options: Options
    wishes: Wishes

    async def plan(self) -> Plan:
        given, wishes = (self.cluster, self.account, self.manifests, self.options), self.wishes
        observer = Observer(*given, identity=wishes.identity, adopt=wishes.adopt)
        intent, seen = await observer.observe()
        return decide(intent, seen, self.wishes)


@asynccontextmanager
async def session(target: Target, manifests: Manifests, options: Options, wishes: Wishes) -> AsyncIterator[Session]:
    """Raises `NoCluster`, `NoRegion`, `NoAccount`."""
    found = context(target.context)
    account = Account(region=region_of(target.region, found.region, target.profile), profile=target.profile)
    try:
        async with Cluster(found) as cluster:
            yield Session(cluster, account, manifests, options, wishes)
    finally:
        account.close()
