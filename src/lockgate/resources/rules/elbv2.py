"""The load balancer controller's webhooks (its `webhooks/elbv2`), except checks that need AWS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace

from lockgate.resources import elbv2, field_errors
from lockgate.resources.field_errors import FieldError, Path


def ingress_class_params(params: elbv2.IngressClassParams) -> Iterator[FieldError]:
    if params.spec.prefix_lists_ids and params.spec.legacy_prefix_lists_ids:
        # A rule of the CRD itself.
        problem = "cannot specify both 'prefixListsIDs' and 'PrefixListsIDs' fields"
        yield FieldError(("spec",), field_errors.Reason.INVALID, f'Invalid value: "object": {problem}')
    for fault in _params(params):
        yield replace(fault, webhook="vingressclassparams.elbv2.k8s.aws")


def _params(params: elbv2.IngressClassParams) -> Iterator[FieldError]:
    for index, block in enumerate(params.spec.inbound_cidrs):
        yield from _network(("spec", "inboundCIDRs", index), block)
    if params.spec.subnets is not None:
        yield from _subnets(params.spec.subnets)


def _subnets(subnets: elbv2.SubnetSelector) -> Iterator[FieldError]:
    """A list or map that exists but is empty counts as set."""
    path: Path = ("spec", "subnets")
    given = subnets.model_fields_set
    if not given & {"ids", "tags"}:
        yield field_errors.required(path, "must have either `ids` or `tags`")
    elif given >= {"ids", "tags"}:
        yield field_errors.forbidden((*path, "tags"), "may not have both `ids` and `tags` set")
    elif "ids" in given:
        yield from _twice((*path, "ids"), subnets.ids)
    else:
        if not subnets.tags:
            yield field_errors.required((*path, "tags"), "must have at least one tag key")
        for key, values in subnets.tags.items():
            yield from _twice((*path, "tags", field_errors.Key(key)), values)


def _twice(path: Path, values: tuple[str, ...]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield field_errors.duplicate((*path, index), value)
        seen.add(value)


def _network(path: Path, text: str) -> Iterator[FieldError]:
    """As Go's ParseCIDR: the mask is a number of bits."""
    address, slash, bits = text.partition("/")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or not bits.isdecimal():
        hint = ""
        if network is not None and not slash:
            hint = f' (did you mean "{text}/{32 if network.version == 4 else 64}")'
        yield field_errors.invalid(path, text, f"Could not be parsed as a CIDR{hint}")
    elif network.network_address != ipaddress.ip_address(address):
        yield field_errors.invalid(path, text, f'Network contains bits outside prefix (did you mean "{network}")')


def target_group_binding(binding: elbv2.TargetGroupBinding) -> Iterator[FieldError]:
    webhook = "vtargetgroupbinding.elbv2.k8s.aws"
    spec = binding.spec
    if not spec.target_group_arn and not spec.target_group_name:
        message = "TargetGroupBinding must specify these fields: either TargetGroupARN or TargetGroupName"
        yield FieldError(("spec",), field_errors.Reason.REQUIRED, message, webhook)
    if spec.node_selector is not None and spec.target_type == "ip":
        message = "TargetGroupBinding cannot set NodeSelector when TargetType is ip"
        yield FieldError(("spec", "nodeSelector"), field_errors.Reason.FORBIDDEN, message, webhook)
    if spec.vpc_id and not _VPC_ID.fullmatch(spec.vpc_id):
        message = (
            f"ValidationError: vpcID {spec.vpc_id} failed to satisfy constraint: VPC Id must begin with 'vpc-' "
            "followed by 8, 17 or 32 lowercase letters (a-f) or numbers."
        )
        yield FieldError(("spec", "vpcID"), field_errors.Reason.INVALID, message, webhook)
    if spec.iam_role_arn_to_assume and spec.target_type == "instance":
        message = "Unable to use instance target type while using assume role"
        yield FieldError(("spec", "iamRoleArnToAssume"), field_errors.Reason.FORBIDDEN, message, webhook)


_VPC_ID = re.compile("vpc-([0-9a-f]{8}|[0-9a-f]{17}|[0-9a-f]{32})")
