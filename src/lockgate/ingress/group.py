"""Which Ingresses this controller owns, and which of them share a load balancer.

Source: aws-load-balancer-controller `pkg/ingress/group_loader.go`, `class_loader.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lockgate.ingress import auto_mode
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.stack import GroupId
from lockgate.ingress.world import Objects, Settings
from lockgate.resources import elbv2, networking
from lockgate.resources.faults import Origin

CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
IMPLICIT_FINALIZER: Final = "ingress.k8s.aws/resources"
EXPLICIT_FINALIZER: Final = "group.ingress.k8s.aws/"
CONTROLLER: Final = "ingress.k8s.aws/alb"
CONTROLLERS: Final = {CONTROLLER: "elbv2.k8s.aws", auto_mode.CONTROLLER: auto_mode.GROUP}
"""The controller names of IngressClasses that count, each with the API group of its parameters."""


@dataclass(frozen=True, slots=True)
class Owned:
    """An Ingress that this controller owns: its group, and its class's parameters if any. `auto` means that the class
    belongs to EKS Auto Mode."""

    group: GroupId
    params: elbv2.IngressClassParams | None = None
    auto: bool = False


@dataclass(frozen=True, slots=True)
class NotOurs:
    """Owned by another controller, or by none."""


@dataclass(frozen=True, slots=True)
class InvalidClass:
    """Its class does not resolve. A new Ingress waits; a member that already has resources blocks its whole group."""

    message: str


@dataclass(frozen=True, slots=True)
class InvalidGroup:
    """Its group's name is not valid: the Ingress leaves any load balancer that it was on."""

    message: str


Ownership: TypeAlias = Owned | NotOurs | InvalidClass | InvalidGroup


@dataclass(frozen=True, slots=True)
class Member:
    ingress: networking.Ingress
    params: elbv2.IngressClassParams | None = None
    order: int = 0
    auto: bool = False

    @property
    def key(self) -> str:
        return f"{self.ingress.namespace}/{self.ingress.name}"


@dataclass(frozen=True, slots=True)
class Group:
    """`members` in the order of their rules; `leaving` have the group's finalizer but are no longer members."""

    id: GroupId
    members: tuple[Member, ...] = ()
    leaving: tuple[networking.Ingress, ...] = ()


def ownership(ingress: networking.Ingress, objects: Objects, settings: Settings) -> Ownership:
    """The owner of the Ingress, by its class and group only. This also works for deleted Ingresses."""
    if settings.watch_namespace and ingress.namespace != settings.watch_namespace:
        return NotOurs()
    by_annotation = is_ours_by_annotation(ingress, settings)
    if by_annotation is not None:  # decides alone, without parameters
        return _grouped(ingress) if by_annotation else NotOurs()
    try:
        ingress_class = class_of(ingress, objects.classes)
    except Refused as refused:
        return InvalidClass(refused.message)
    if ingress_class is None:
        return _grouped(ingress) if settings.ingress_class == "" else NotOurs()
    if isinstance(ingress_class, str):
        return InvalidClass(f'invalid ingress class: IngressClass.networking.k8s.io "{ingress_class}" not found')
    if ingress_class.spec.controller not in CONTROLLERS:
        return NotOurs()
    auto = ingress_class.spec.controller == auto_mode.CONTROLLER
    try:
        return _grouped(ingress, _params_of(ingress_class, ingress.namespace, objects), auto=auto)
    except Refused as refused:
        return InvalidClass(f"invalid ingress class: {refused.message}")


def finalizer(group: GroupId) -> str:
    return EXPLICIT_FINALIZER + group.name if group.explicit else IMPLICIT_FINALIZER


def groups_held(ingress: networking.Ingress) -> tuple[GroupId, ...]:
    """The groups whose finalizers the Ingress has: groups of which it is or was a member."""
    held = []
    for name in ingress.metadata.finalizers:
        if name == IMPLICIT_FINALIZER:
            held.append(GroupId(ingress.namespace, ingress.name))
        elif name.startswith(EXPLICIT_FINALIZER):
            held.append(GroupId("", name.removeprefix(EXPLICIT_FINALIZER)))
    return tuple(held)


def assemble(group: GroupId, ingresses: Iterable[networking.Ingress], objects: Objects, settings: Settings) -> Group:
    """The group, from the Ingresses that may be members. Raises `Refused` if one of them blocks the whole group."""
    members: list[Member] = []
    leaving: list[networking.Ingress] = []
    for ingress in ingresses:
        holds = group in groups_held(ingress)
        if ingress.metadata.deletion_timestamp:
            if holds:
                leaving.append(ingress)
            continue
        match ownership(ingress, objects, settings):
            case Owned(owner, params, auto) if owner == group:
                members.append(Member(ingress, params, _order(ingress), auto))
            case InvalidClass(message) if holds:
                raise Refused(
                    f"Ingress: {ingress.namespace}/{ingress.name}: Ingress has invalid IngressClass configuration: "
                    + message,
                    Origin(ingress.key, ("spec", "ingressClassName")),
                )
            case _ if holds:
                leaving.append(ingress)
    members.sort(key=lambda member: (member.order, member.key))
    return Group(group, tuple(members), tuple(leaving))


def is_ours_by_annotation(ingress: networking.Ingress, settings: Settings) -> bool | None:
    """Ownership by the legacy annotation; None without the annotation."""
    name = ingress.metadata.annotations.get(CLASS_ANNOTATION)
    if name is None:
        return None
    return name == settings.ingress_class or (settings.ingress_class == "" and name == "alb")


def class_of(
    ingress: networking.Ingress, classes: Mapping[str, networking.IngressClass]
) -> networking.IngressClass | str | None:
    """The class, the name of a missing class, or None without a class. Raises `Refused` for several defaults."""
    name = ingress.spec.ingress_class_name
    if name is not None:
        return classes.get(name, name)
    defaults = [
        candidate
        for candidate in classes.values()
        if candidate.metadata.annotations.get("ingressclass.kubernetes.io/is-default-class") == "true"
    ]
    if len(defaults) > 1:
        raise Refused("multiple default IngressClasses found")
    return defaults[0] if defaults else None


def _params_of(
    ingress_class: networking.IngressClass, namespace: str, objects: Objects
) -> elbv2.IngressClassParams | None:
    reference = ingress_class.spec.parameters
    if reference is None:
        return None
    group = CONTROLLERS[ingress_class.spec.controller]
    if reference.api_group != group or reference.kind != "IngressClassParams":
        raise Refused(f"IngressClass {ingress_class.name} references unknown parameters")
    if group == auto_mode.GROUP:
        auto = objects.auto_params.get(reference.name)
        params = auto_mode.as_params(auto) if auto is not None else None
    else:
        params = objects.class_params.get(reference.name)
    if params is None:
        raise Refused(f'IngressClassParams.{group} "{reference.name}" not found')
    selector = params.spec.namespace_selector
    if selector is not None and not selector.matches(objects.namespaces.get(namespace, {})):
        raise Refused(f"namespaceSelector of IngressClassParams {params.name} mismatch")
    return params


# fullmatch: Go's `$` does not match before a newline at the end.
_GROUP_NAME = re.compile(r"([a-z0-9][-a-z0-9.]*)?[a-z0-9]")


def _grouped(
    ingress: networking.Ingress, params: elbv2.IngressClassParams | None = None, *, auto: bool = False
) -> Owned | InvalidGroup:
    name: str | None = None
    if params is not None and params.spec.group is not None:
        name = params.spec.group.name
    elif not auto:
        name = a.GROUP_NAME.read(ingress)
    if name is None:
        return Owned(GroupId(ingress.namespace, ingress.name), params, auto)
    if not _GROUP_NAME.fullmatch(name):
        return InvalidGroup(
            "invalid ingress group: groupName must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
    if len(name) > 63:
        return InvalidGroup("invalid ingress group: groupName must be no more than 63 characters")
    return Owned(GroupId("", name), params, auto)


def _order(ingress: networking.Ingress) -> int:
    with about(
        Origin(ingress.key),
        prefix=f"failed to load Ingress group order for ingress: {ingress.namespace}/{ingress.name}: ",
    ):
        order = a.GROUP_ORDER.read(ingress) or 0
    if not -1000 <= order <= 1000:
        raise Refused(
            "explicit Ingress group order must be within [-1000:1000], "
            f"Ingress: {ingress.namespace}/{ingress.name}, order: {order}",
            Origin(ingress.key, a.GROUP_ORDER.path()),
        )
    return order
