"""Rules on the nodes' security groups, by which the load balancers' shared group may reach the targets.

There is one rule per protocol and source, from the lowest to the highest port that any binding of the cluster needs.
Only rules with the controller's description are removed.

Source: aws-load-balancer-controller `pkg/targetgroupbinding/networking_manager.go`, `pkg/networking/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from lockgate.controllers.aws_load_balancer.site import Site
from lockgate.controllers.elbv2 import read_tags
from lockgate.ingress.refusal import Refused
from lockgate.ingress.targets import instance_id
from lockgate.resources import elbv2

LABEL: Final = "elbv2.k8s.aws/targetGroupBinding=shared"

Json = Mapping[str, Any]


class Opening(NamedTuple):
    """A range of ports for one source: a security group's ID or a CIDR."""

    protocol: str
    source: str
    first: int
    last: int


class NodeRules:
    """Calls AWS only if bindings or nodes have changed the needed rules."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._done: tuple[frozenset[str], frozenset[Opening]] | None = None
        self._turn = asyncio.Lock()

    async def ensure(self) -> None:
        """Raises `Refused` if a node has several security groups, and tags do not identify one."""
        async with self._turn:
            needed = (self._instances(), openings(self._site.cluster.bindings.values()))
            if needed == self._done:
                return
            instances, opened = needed
            if opened or self._done is not None:
                for group in await self._endpoint_groups(instances):
                    await self._reconcile(group, opened)
            self._done = needed

    def _instances(self) -> frozenset[str]:
        found = set()
        for node in self._site.cluster.nodes.values():
            try:
                found.add(instance_id(node))
            except Refused:  # reported by the binding that has the node as a target
                continue
        return frozenset(found)

    async def _endpoint_groups(self, instances: frozenset[str]) -> list[Json]:
        """The security group of each node, as described by EC2."""
        if not instances:
            return []
        aws = self._site.aws
        reservations = await aws.list("ec2", "describe_instances", "Reservations", InstanceIds=sorted(instances))
        interfaces = [
            instance["NetworkInterfaces"][0]
            for reservation in reservations
            for instance in reservation["Instances"]
            if instance.get("NetworkInterfaces")
        ]
        ids = {
            interface["NetworkInterfaceId"]: [group["GroupId"] for group in interface["Groups"]]
            for interface in interfaces
        }
        everyone = sorted({identifier for groups in ids.values() for identifier in groups})
        if not everyone:
            return []
        described = await aws.list("ec2", "describe_security_groups", "SecurityGroups", GroupIds=everyone)
        by_id = {item["GroupId"]: item for item in described}
        return list(
            {group: by_id[group] for group in (self._one(eni, groups, by_id) for eni, groups in ids.items())}.values()
        )

    def _one(self, interface: str, groups: list[str], by_id: Mapping[str, Json]) -> str:
        if len(groups) == 1:
            return groups[0]
        cluster = self._site.settings.cluster_name
        key = f"kubernetes.io/cluster/{cluster}"
        tagged = [group for group in groups if key in read_tags(by_id[group])]
        if len(tagged) != 1:
            raise Refused(
                f"expected exactly one securityGroup tagged with {key} for eni {interface}, "
                f"got: [{' '.join(tagged)}] (clusterName: {cluster})"
            )
        return tagged[0]

    async def _reconcile(self, group: Json, needed: frozenset[Opening]) -> None:
        current = set(_labelled(group.get("IpPermissions", ())))
        call = self._site.aws.call
        if missing := sorted(needed - current):
            shapes = [_shape(opening) for opening in missing]
            await call("ec2", "authorize_security_group_ingress", GroupId=group["GroupId"], IpPermissions=shapes)
        if spare := sorted(current - needed):
            shapes = [_shape(opening) for opening in spare]
            await call("ec2", "revoke_security_group_ingress", GroupId=group["GroupId"], IpPermissions=shapes)


def openings(bindings: Iterable[elbv2.TargetGroupBinding]) -> frozenset[Opening]:
    """The rules that all bindings need together. Named ports differ between Pods, and open nothing here."""
    ranges: dict[tuple[str, str], tuple[int, int]] = {}
    for binding in bindings:
        if binding.spec.networking is None or binding.metadata.deletion_timestamp:
            continue
        for rule in binding.spec.networking.ingress:
            for peer in rule.from_:
                source = (
                    peer.security_group.group_id if peer.security_group else peer.ip_block.cidr if peer.ip_block else ""
                )
                for port in rule.ports:
                    if isinstance(port.port, str) or not source:
                        continue
                    first, last = (0, 65535) if port.port is None else (port.port, port.port)
                    key = ((port.protocol or "TCP").lower(), source)
                    low, high = ranges.get(key, (first, last))
                    ranges[key] = (min(low, first), max(high, last))
    return frozenset(Opening(*key, *ports) for key, ports in ranges.items())


def _labelled(permissions: Iterable[Json]) -> Iterable[Opening]:
    for item in permissions:
        first, last = item.get("FromPort", 0), item.get("ToPort", 65535)
        for pair in item.get("UserIdGroupPairs", ()):
            if pair.get("Description") == LABEL:
                yield Opening(item["IpProtocol"], pair["GroupId"], first, last)
        for block in item.get("IpRanges", ()):
            if block.get("Description") == LABEL:
                yield Opening(item["IpProtocol"], block["CidrIp"], first, last)
        for block in item.get("Ipv6Ranges", ()):
            if block.get("Description") == LABEL:
                yield Opening(item["IpProtocol"], block["CidrIpv6"], first, last)


def _shape(opening: Opening) -> dict[str, Any]:
    shape: dict[str, Any] = {"IpProtocol": opening.protocol, "FromPort": opening.first, "ToPort": opening.last}
    if opening.source.startswith("sg-"):
        shape["UserIdGroupPairs"] = [{"GroupId": opening.source, "Description": LABEL}]
    elif ":" in opening.source:
        shape["Ipv6Ranges"] = [{"CidrIpv6": opening.source, "Description": LABEL}]
    else:
        shape["IpRanges"] = [{"CidrIp": opening.source, "Description": LABEL}]
    return shape
