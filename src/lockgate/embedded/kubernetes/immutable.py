"""Immutable fields: the API and webhooks refuse changes of them, even if the new object is valid by itself.

Sources: `ValidateSecretUpdate`, `ValidateDeploymentUpdate` and the like in kube-apiserver's validation; cert-manager's
`internal/apis/{certmanager,acme}/validation`; the load balancer controller's `targetgroupbinding_validator.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Reason
from lockgate.resources.model import JsonObject, Kind

_CERT_MANAGER = "webhook.cert-manager.io"


def refusals(kind: Kind, old: JsonObject, new: JsonObject) -> list[FieldError]:
    """The faults of `new` as a replacement of `old`. Both are valid by themselves."""
    rule = _RULES.get(kind.group_kind)
    return list(rule(old, new)) if rule else []


def _secret(old: JsonObject, new: JsonObject) -> Iterator[FieldError]:
    if old.get("type") != new.get("type"):
        yield field_errors.invalid(("type",), new.get("type"), "field is immutable")
    yield from _sealed(old, new)


def _sealed(old: JsonObject, new: JsonObject) -> Iterator[FieldError]:
    if not old.get("immutable"):
        return
    why = "field is immutable when `immutable` is set"
    if not new.get("immutable"):
        yield field_errors.forbidden(("immutable",), why)
    for name in ("data", "binaryData"):
        if (old.get(name) or {}) != (new.get(name) or {}):
            yield field_errors.forbidden((name,), why)


def _selector(old: JsonObject, new: JsonObject) -> Iterator[FieldError]:
    after = _at(new, "spec", "selector")
    if _at(old, "spec", "selector") != after:
        yield field_errors.invalid(("spec", "selector"), after, "field is immutable")


def _load_balancer_class(old: JsonObject, new: JsonObject) -> Iterator[FieldError]:
    if _at(old, "spec", "type") != "LoadBalancer" or _at(new, "spec", "type") != "LoadBalancer":
        return
    after = _at(new, "spec", "loadBalancerClass")
    if _at(old, "spec", "loadBalancerClass") != after:
        yield field_errors.invalid(("spec", "loadBalancerClass"), after, "may not change once set")


def _role_ref(old: JsonObject, new: JsonObject) -> Iterator[FieldError]:
    if old.get("roleRef") != new.get("roleRef"):
        yield field_errors.invalid(("roleRef",), new.get("roleRef"), "cannot change roleRef")


def _ingress_class(old: JsonObject, new: JsonObject) -> Iterator[FieldError]:
    after = _at(new, "spec", "controller")
    if _at(old, "spec", "controller") != after:
        yield field_errors.invalid(("spec", "controller"), after, "field is immutable")


def _certificate_request(old: JsonObject, new: JsonObject) -> Iterator[FieldError]:
    if old.get("spec") != new.get("spec"):
        yield FieldError(("spec",), Reason.FORBIDDEN, "Forbidden: cannot change spec after creation", _CERT_MANAGER)
    before, after = _own_annotations(old), _own_annotations(new)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            why = "Forbidden: cannot change cert-manager annotation after creation"
            yield FieldError(("metadata", "annotations", name), Reason.FORBIDDEN, why, _CERT_MANAGER)
    approved = _condition(old, "Approved")
    if approved is not None and _condition(new, "Approved") != approved:
        why = "Forbidden: 'Approved' condition may not be modified once set"
        yield FieldError(("status", "conditions"), Reason.FORBIDDEN, why, _CERT_MANAGER)


def _challenge(old: JsonObject, new: JsonObject) -> Iterator[FieldError]:
    if old.get("spec") != new.get("spec"):
        why = "Forbidden: challenge spec is immutable after creation"
        yield FieldError(("spec",), Reason.FORBIDDEN, why, _CERT_MANAGER)


def _target_group_binding(old: JsonObject, new: JsonObject) -> Iterator[FieldError]:
    changed = [
        f"spec.{name}"
        for name in ("targetGroupARN", "targetType", "ipAddressType", "vpcID")
        # Omitted fields may be set later, as the controller's mutating webhook does.
        if (before := _at(old, "spec", name)) and before != _at(new, "spec", name)
    ]
    if changed:
        why = f"TargetGroupBinding update may not change these immutable fields: {','.join(changed)}"
        yield FieldError(("spec",), Reason.FORBIDDEN, why, "vtargetgroupbinding.elbv2.k8s.aws")


def _own_annotations(body: JsonObject) -> JsonObject:
    annotations = body["metadata"].get("annotations") or {}
    own = ("cert-manager.io/", "acme.cert-manager.io/")
    return {name: value for name, value in annotations.items() if name.startswith(own)}


def _condition(body: JsonObject, type_: str) -> tuple[Any, ...] | None:
    for one in _at(body, "status", "conditions") or ():
        if isinstance(one, dict) and one.get("type") == type_:
            return one.get("status"), one.get("reason"), one.get("message")
    return None


def _at(body: JsonObject, *path: str) -> Any:
    value: Any = body
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


_RULES: dict[tuple[str, str], Callable[[JsonObject, JsonObject], Iterator[FieldError]]] = {
    ("", "Secret"): _secret,
    ("", "ConfigMap"): _sealed,
    ("", "Service"): _load_balancer_class,
    ("apps", "Deployment"): _selector,
    ("apps", "ReplicaSet"): _selector,
    ("apps", "DaemonSet"): _selector,
    ("apps", "StatefulSet"): _selector,
    ("rbac.authorization.k8s.io", "RoleBinding"): _role_ref,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _role_ref,
    ("networking.k8s.io", "IngressClass"): _ingress_class,
    ("cert-manager.io", "CertificateRequest"): _certificate_request,
    ("acme.cert-manager.io", "Challenge"): _challenge,
    ("elbv2.k8s.aws", "TargetGroupBinding"): _target_group_binding,
}
