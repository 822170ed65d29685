"""Target groups and trust stores that manifests reference, so that their rules and listeners can be created."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from lockgate.edge.objects import Objects
from lockgate.edge.supply.pieces import TargetGroup, TrustStore
from lockgate.ingress.references import References
from lockgate.resources import core, elbv2
from lockgate.resources.arns import REGIONS, Arn, parse_arn


def target_groups(references: Iterable[References], objects: Objects) -> Iterator[TargetGroup]:
    """Each is what the TargetGroupBinding that references it needs."""
    bindings = {_named(each): each for each in reversed(list(objects.all(elbv2.TargetGroupBinding)))}
    named = ((named, each.label) for each in references for named in each.target_groups)
    for name, arn, user in _once(named, "targetgroup"):
        binding = bindings.get(arn) or bindings.get(name)
        protocol = (binding and binding.spec.target_group_protocol) or "HTTP"
        how = "created" if binding else "created without targets"
        why = f"target group {name}: {how}, because {user} references it"
        yield TargetGroup(name, arn, _type(binding, objects), protocol, binding is not None, why)


def trust_stores(references: Iterable[References]) -> Iterator[TrustStore]:
    named = ((named, each.label) for each in references for named in each.trust_stores)
    for name, arn, user in _once(named, "truststore"):
        why = f"trust store {name}: created with this edge's own CA, because {user} references it"
        yield TrustStore(name, arn, why)


def _once(named: Iterable[tuple[str, str]], kind: str) -> Iterator[tuple[str, str, str]]:
    """Name, ARN and first user of each. Invalid ARNs are skipped: the API refuses them."""
    arns: dict[str, str] = {}
    users: dict[str, str] = {}
    for text, user in named:
        arn = parse_arn(text)
        if name := text if arn is None else _name(arn, kind):
            users.setdefault(name, user)
            arns[name] = arns.get(name) or (text if arn else "")
    for name, user in users.items():
        yield name, arns[name], user


def _name(arn: Arn, kind: str) -> str:
    match arn.resource.split("/"):
        case [found, name, _] if found == kind and arn.service == "elasticloadbalancing" and arn.region in REGIONS:
            return name
        case _:
            return ""


def _named(binding: elbv2.TargetGroupBinding) -> str:
    return binding.spec.target_group_arn or binding.spec.target_group_name


def _type(binding: elbv2.TargetGroupBinding | None, objects: Objects) -> Literal["instance", "ip"]:
    """A Service with node ports is often behind a group of instances."""
    if binding is None:
        return "ip"
    if binding.spec.target_type:
        return binding.spec.target_type
    service = objects.get(core.Service, binding.namespace, binding.spec.service_ref.name)
    return "instance" if service and service.spec.type in ("NodePort", "LoadBalancer") else "ip"
