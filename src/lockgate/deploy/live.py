"""The edge that a host leads to, as its cluster and account hold it now, without any manifests."""

from __future__ import annotations

from lockgate.controllers.aws import AwsError
from lockgate.deploy.account import Account, NoAccount
from lockgate.deploy.cluster import Cluster
from lockgate.deploy.observing import Observer
from lockgate.deploy.planning import edges
from lockgate.edge.edge import Edge
from lockgate.edge.manifests import NOTHING
from lockgate.edge.options import Options
from lockgate.edge.supply.hosts import zone_of


async def live_edge(cluster: Cluster, account: Account, host: str) -> Edge:
    """Raises `NoAccount`, `Denied`, `Unreachable`."""
    try:
        zones = await account.list("route53", "list_hosted_zones", "HostedZones")
    except AwsError as error:
        raise NoAccount(f"{error.code}: {error.message}") from error
    names = {each["Name"].rstrip("."): each["Id"].rpartition("/")[2] for each in zones}
    name = zone_of(host, names)
    options = Options((), hosted_zones={name: names[name]} if name else {})
    _, seen = await Observer(cluster, account, NOTHING, options).observe()
    return edges.before(seen)
