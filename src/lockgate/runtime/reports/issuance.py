"""A line for each cert-manager Certificate: how it was issued, or the most specific reason why not.

A waiting Certificate only reports that its Secret does not exist. The reason is further down the chain of owner
references: Certificate, CertificateRequest, Order, Challenge; or in the issuer. Each has conditions or a reason in its
status, its latest event, and the error of its last attempt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.certificates.solvers import NONE_FITS
from lockgate.resources import cert_manager as cm
from lockgate.resources import core
from lockgate.resources.meta import condition
from lockgate.resources.model import Resource, ResourceT
from lockgate.runtime.observed import State
from lockgate.runtime.parts import Line, Readiness

_FINAL = ("invalid", "expired", "errored")


@dataclass(frozen=True, slots=True)
class _Cause:
    state: Readiness
    text: str


def certificates(state: State) -> Iterator[Line]:
    owned = _Owned(state)
    for certificate in state.cluster.all(cm.Certificate):
        name = f"{certificate.namespace}/{certificate.name}"
        ready = condition(certificate.status.conditions, "Ready")
        if ready and ready.status == "True":
            yield Line("certificate", name, Readiness.READY, _issued_how(state, certificate))
            continue
        causes = list(_causes(state, owned, certificate))
        # The most specific comes first; a permanent cause precedes one that is retried.
        cause = min(causes, key=lambda each: _URGENCY.index(each.state))
        yield Line("certificate", name, cause.state, cause.text)


_URGENCY = (Readiness.UNSERVED, Readiness.FAILED, Readiness.WAITING)


def _issued_how(state: State, certificate: cm.Certificate) -> str:
    issuer = _issuer(state, certificate)
    if issuer is None:
        return "issued"
    ref = certificate.spec.issuer_ref
    return "issued over ACME, DNS-01" if issuer.spec.acme else f"issued by {ref.kind} {ref.name}"


def _causes(state: State, owned: _Owned, certificate: cm.Certificate) -> Iterator[_Cause]:
    """At least one cause, the most specific first."""
    for request in reversed(owned.by(certificate, cm.CertificateRequest)[-1:]):
        for order in owned.by(request, cm.Order):
            for challenge in owned.by(order, cm.Challenge):
                yield from _of_challenge(state, challenge)
            yield from _of_order(state, order)
        yield from _of_request(state, request)
    yield from _of_issuer(state, certificate)
    yield from _of_certificate(state, certificate)


# --- one link of the chain each ----------------------------------------------------------------------------------


def _of_challenge(state: State, challenge: cm.Challenge) -> Iterator[_Cause]:
    status, solver = challenge.status, challenge.spec.solver.dns01
    what = f"Challenge for {challenge.spec.dns_name}"
    reason = status.reason or _trouble(state, challenge)
    if status.state == "valid":
        return
    if solver is None or solver.route53 is None:
        yield _Cause(Readiness.UNSERVED, f"{what}: {reason or 'only dns01 with route53 is served here'}")
    elif status.state in _FINAL or _trouble(state, challenge):
        yield _Cause(Readiness.FAILED, f"{what}: {reason or status.state}")
    elif reason:
        yield _Cause(Readiness.WAITING, f"{what}: {reason}")


def _of_order(state: State, order: cm.Order) -> Iterator[_Cause]:
    names = ", ".join(order.spec.dns_names[:2]) + (", …" if len(order.spec.dns_names) > 2 else "")
    if order.status.state in _FINAL and order.status.reason:
        yield _Cause(Readiness.FAILED, f"Order for {names}: {order.status.reason}")
    elif trouble := _trouble(state, order):
        never = trouble == NONE_FITS
        yield _Cause(Readiness.UNSERVED if never else Readiness.FAILED, f"Order for {names}: {trouble}")


def _of_request(state: State, request: cm.CertificateRequest) -> Iterator[_Cause]:
    ready = condition(request.status.conditions, "Ready")
    if ready and ready.reason in ("Failed", "Denied"):
        yield _Cause(Readiness.FAILED, f"CertificateRequest {request.name}: {ready.message}")
    elif trouble := _trouble(state, request):
        yield _Cause(Readiness.FAILED, f"CertificateRequest {request.name}: {trouble}")
    elif ready:
        yield _Cause(Readiness.WAITING, f"CertificateRequest {request.name}: {ready.message}")


def _of_issuer(state: State, certificate: cm.Certificate) -> Iterator[_Cause]:
    ref = certificate.spec.issuer_ref
    what = f"{ref.kind} {ref.name}"
    if ref.group not in ("", "cert-manager.io"):
        yield _Cause(Readiness.UNSERVED, f"{what}: issuers of the group {ref.group} are not served here")
        return
    issuer = _issuer(state, certificate)
    if issuer is None:
        where = "" if ref.kind == "ClusterIssuer" else f" in namespace {certificate.namespace}"
        yield _Cause(Readiness.UNSERVED, f"{what} does not exist{where}")
        return
    ready = condition(issuer.status.conditions, "Ready")
    if ready is None or ready.status == "True":
        return
    if issuer.spec.vault is not None or issuer.spec.venafi is not None:
        yield _Cause(Readiness.UNSERVED, f"{what}: {ready.message}")
    elif issuer.spec.ca is not None:
        yield _Cause(_whether_made(state, issuer, issuer.spec.ca.secret_name), f"{what}: {ready.message}")
    else:
        yield _Cause(Readiness.FAILED, f"{what}: {ready.message}")


def _of_certificate(state: State, certificate: cm.Certificate) -> Iterator[_Cause]:
    ready = condition(certificate.status.conditions, "Ready")
    issuing = condition(certificate.status.conditions, "Issuing")
    if certificate.status.last_failure_time:
        yield _Cause(Readiness.FAILED, issuing.message if issuing else "issuance failed")
    elif trouble := _trouble(state, certificate):
        yield _Cause(Readiness.FAILED, trouble)
    else:
        yield _Cause(Readiness.WAITING, ready.message if ready else "not processed yet")


# --- reading the state -------------------------------------------------------------------------------------------


class _Owned:
    """Objects of a kind by the uid of their controller, oldest first."""

    def __init__(self, state: State) -> None:
        self._cluster = state.cluster
        self._by_owner: dict[type[Resource], dict[str, list[Resource]]] = {}

    def by(self, owner: Resource, kind: type[ResourceT]) -> list[ResourceT]:
        if kind not in self._by_owner:
            index = self._by_owner[kind] = {}
            for each in sorted(self._cluster.all(kind), key=lambda each: each.metadata.creation_timestamp):
                for reference in each.metadata.owner_references:
                    if reference.controller:
                        index.setdefault(reference.uid, []).append(each)
        return self._by_owner[kind].get(owner.metadata.uid, [])  # type: ignore[return-value]  # all of this kind


def _issuer(state: State, certificate: cm.Certificate) -> cm.Issuer | cm.ClusterIssuer | None:
    ref = certificate.spec.issuer_ref
    if ref.kind == "ClusterIssuer":
        return state.cluster.get(cm.ClusterIssuer, ref.name)
    return state.cluster.get(cm.Issuer, ref.name, certificate.namespace)


def _whether_made(state: State, issuer: cm.Issuer | cm.ClusterIssuer, secret: str) -> Readiness:
    """Whether a CA's Secret exists but is invalid, will be created by a Certificate, or is created by nothing."""
    namespace = issuer.namespace or (state.supply.cluster_resource_namespace if state.supply else "")
    if state.cluster.get(core.Secret, secret, namespace):
        return Readiness.FAILED
    made = ((each.namespace, each.spec.secret_name) for each in state.cluster.all(cm.Certificate))
    return Readiness.WAITING if (namespace, secret) in made else Readiness.UNSERVED


def _trouble(state: State, resource: Resource) -> str:
    """The latest warning event of an object, or the error of its last attempt; "" for none."""
    return state.cluster.warnings.get(resource.metadata.uid, "") or state.retried.get(resource.key, "")
