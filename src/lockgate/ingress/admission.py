"""The checks of the AWS Load Balancer Controller's webhooks that depend on other objects of the cluster.

`resources.rules.elbv2` has the rules for single objects. Checks that call AWS are the controller's: it performs them
when it reconciles a binding. Sources: aws-load-balancer-controller `webhooks/networking/ingress_validator.go`,
`webhooks/elbv2/targetgroupbinding_validator.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.json_values import Node
from lockgate.ingress.conditions import read_conditions
from lockgate.ingress.group import CONTROLLERS, class_of, is_ours_by_annotation
from lockgate.ingress.refusal import Refused
from lockgate.ingress.world import Settings
from lockgate.loadbalancer.model import Condition
from lockgate.resources import elbv2, networking
from lockgate.resources.faults import Origin
from lockgate.resources.field_errors import FieldError, Reason

_INGRESS: Final = "vingress.elbv2.k8s.aws"
_BINDING: Final = "vtargetgroupbinding.elbv2.k8s.aws"


def ingress(
    ingress: networking.Ingress,
    classes: Mapping[str, networking.IngressClass],
    settings: Settings,
    before: networking.Ingress | None = None,
) -> FieldError | None:
    """The first fault of an Ingress that this controller owns, or whose class does not exist. Only the annotations
    named here are checked; all others are reported when the load balancer is built. `before` is the previous version of
    the Ingress, None for a new one."""
    try:
        if not _is_ours(ingress, classes, settings):
            return None
    except Refused as refused:
        return FieldError(("spec", "ingressClassName"), Reason.INVALID, refused.message, _INGRESS)
    try:
        _check_new_usage(ingress, before, settings)
        for name in _services(ingress):
            a.CONDITIONS.of(name).parse(partial(_conditions, ingress, name), ingress)
    except Refused as refused:
        path = refused.origin.path if refused.origin else ()
        return FieldError(path, Reason.INVALID, refused.message, _INGRESS)
    return None


def target_group_binding(
    binding: elbv2.TargetGroupBinding, others: Iterable[elbv2.TargetGroupBinding]
) -> FieldError | None:
    """Bindings may share a target group only if each of them allows it. `others` may include `binding`."""
    arn = binding.spec.target_group_arn
    sharing = [
        other
        for other in others
        if arn and other.spec.target_group_arn == arn and other.metadata.uid != binding.metadata.uid
    ]
    if not sharing or all(each.spec.multi_cluster_target_group for each in (binding, *sharing)):
        return None
    names = " ".join(f"{other.namespace}/{other.name}" for other in sharing)
    message = (
        f"TargetGroup {arn} is already bound to following TargetGroupBindings [{names}]. Please enable MultiCluster "
        f"mode on all TargetGroupBindings referencing {arn} or choose a different Target Group ARN."
    )
    return FieldError(("spec", "targetGroupARN"), Reason.FORBIDDEN, message, _BINDING)


def _is_ours(ingress: networking.Ingress, classes: Mapping[str, networking.IngressClass], settings: Settings) -> bool:
    by_annotation = is_ours_by_annotation(ingress, settings)
    if by_annotation is not None:
        return by_annotation
    found = class_of(ingress, classes)
    if isinstance(found, str):
        raise Refused(f'invalid ingress class: IngressClass.networking.k8s.io "{found}" not found')
    return settings.ingress_class == "" if found is None else found.spec.controller in CONTROLLERS


def _check_new_usage(ingress: networking.Ingress, before: networking.Ingress | None, settings: Settings) -> None:
    """Checks the two annotations that a flag forbids on Ingresses that do not have them yet. Raises `Refused`."""
    was_ours = before is not None and is_ours_by_annotation(before, settings)
    if settings.disable_ingress_class_annotation and is_ours_by_annotation(ingress, settings) and not was_ours:
        key = "kubernetes.io/ingress.class"
        origin = Origin(ingress.key, ("metadata", "annotations", key))
        raise Refused(f"new usage of `{key}` annotation is forbidden", origin)
    if settings.disable_group_name_annotation:
        key = a.GROUP_NAME.key
        name = ingress.metadata.annotations.get(key)
        former = before.metadata.annotations.get(key) if before else None
        if name is not None and name != former:
            origin = Origin(ingress.key, a.GROUP_NAME.path())
            raise Refused(f"new usage of `{key}` annotation is forbidden", origin)


def _services(ingress: networking.Ingress) -> Iterator[str]:
    for rule in ingress.spec.rules:
        for path in rule.http.paths if rule.http else ():
            if path.backend.service is not None:
                yield path.backend.service.name


def _conditions(ingress: networking.Ingress, name: str, root: Node) -> tuple[Condition, ...]:
    """A parse error is reported as usual; other invalid conditions have this webhook's message."""
    try:
        return read_conditions(root)
    except Refused as refused:
        key = f"{ingress.namespace}/{ingress.name}"
        annotation = a.CONDITIONS.of(name)
        message = f"ignoring Ingress {key} since invalid {annotation.key} annotation: {refused.message}"
        raise Refused(message, Origin(ingress.key, annotation.path())) from None
