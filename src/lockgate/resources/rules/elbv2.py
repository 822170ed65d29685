"""The load balancer controller's webhooks (its `webhooks/elbv2`), as far as they need no AWS API."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from lockgate.resources import faults
from lockgate.resources.elbv2 import IngressClassParams, TargetGroupBinding
from lockgate.resources.faults import Fault, Path


def ingress_class_params(params: IngressClassParams) -> Iterator[Fault]:
    if params.spec.prefix_lists_ids and params.spec.legacy_prefix_lists_ids:
        # A rule of the CRD itself.
        problem = "cannot specify both 'prefixListsIDs' and 'PrefixListsIDs' fields"
        yield Fault(("spec",), faults.Reason.INVALID, f'Invalid value: "object": {problem}')
    for fault in _params(params):
        yield replace(fault, webhook="vingressclassparams.elbv2.k8s.aws")


def _params(params: IngressClassParams) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, block in enumerate(params.spec.inbound_cidrs):
        at: Path = ("spec", "inboundCIDRs", index)
        yield from _network(at, block)
        if block in seen:
            yield faults.duplicate(at, block)
        seen.add(block)
    subnets = params.spec.subnets
    if subnets is not None:
        if not subnets.ids and not subnets.tags:
            yield faults.required(("spec", "subnets"), "must have either `ids` or `tags`")
        if subnets.ids and subnets.tags:
            yield faults.forbidden(("spec", "subnets", "tags"), "may not have both `ids` and `tags` set")


def _network(path: Path, text: str) -> Iterator[Fault]:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in text:
        hint = ""
        if network is not None:
            hint = f' (did you mean "{text}/{32 if network.version == 4 else 64}")'
        yield faults.invalid(path, text, f"Could not be parsed as a CIDR{hint}")
    elif str(network.network_address) != str(ipaddress.ip_address(text.partition("/")[0])):
        yield faults.invalid(path, text, f'Network contains bits outside prefix (did you mean "{network}")')


def target_group_binding(binding: TargetGroupBinding) -> Iterator[Fault]:
    webhook = "vtargetgroupbinding.elbv2.k8s.aws"
    spec = binding.spec
    if not spec.target_group_arn and not spec.target_group_name:
        message = "TargetGroupBinding must specify these fields: either TargetGroupARN or TargetGroupName"
        yield Fault(("spec",), faults.Reason.REQUIRED, message, webhook)
    if spec.node_selector is not None and spec.target_type == "ip":
        message = "TargetGroupBinding cannot set NodeSelector when TargetType is ip"
        yield Fault(("spec", "nodeSelector"), faults.Reason.FORBIDDEN, message, webhook)
