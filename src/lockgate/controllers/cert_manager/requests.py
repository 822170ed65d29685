"""CertificateRequests: approved, then signed by the issuer that they name.

Source: cert-manager, `pkg/controller/certificaterequests/{approver,acme,ca,selfsigned}`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography import x509

from lockgate.certificates.authority import Authority, NotAnAuthority, revocation_pointers, self_signed
from lockgate.certificates.conditions import with_condition
from lockgate.certificates.keys import PrivateKey, UnreadableKey, load_key, same_key
from lockgate.certificates.names import order_name
from lockgate.certificates.request import (
    PRIVATE_KEY,
    common_name_of,
    load_request,
    owner_reference,
    request_content,
    request_names,
)
from lockgate.certificates.times import parse_duration, write_time
from lockgate.controllers.cert_manager import secrets
from lockgate.controllers.cert_manager.environment import CLUSTER_ISSUER, Environment
from lockgate.resources import cert_manager as cm
from lockgate.resources.meta import condition
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.status import AlreadyExists, NotFound

DEFAULT_DURATION = timedelta(hours=2160)
_FINAL = ("Failed", "Denied", "Issued")


@dataclass(frozen=True, slots=True)
class Requests:
    environment: Environment

    async def reconcile(self, key: ObjectKey) -> None:
        try:
            request = await self.environment.kubernetes.get(cm.CertificateRequest, key.name, key.namespace)
        except NotFound:
            return
        if request.metadata.deletion_timestamp or request.spec.issuer_ref.group not in ("", "cert-manager.io"):
            return
        ready = condition(request.status.conditions, "Ready")
        if ready is not None and ready.reason in _FINAL:
            return
        if _is(request, "Denied"):
            message = "The CertificateRequest was denied by an approval controller"
            await self._write(request, "False", "Denied", message, {"failureTime": self._time()})
            return
        if not _is(request, "Approved"):
            await self._approve(request)
            return
        issuer = await self._issuer(request)
        if issuer is not None:
            await self._sign(request, issuer)

    async def _approve(self, request: cm.CertificateRequest) -> None:
        # In cert-manager, each issuer's controller usually sees the request before the approver, and reports it.
        for kind in ("acme", "ca", "selfsigned"):
            message = "Not signing CertificateRequest until it is Approved"
            await self._event(f"issuer-{kind}", request, "Normal", "WaitingForApproval", message)
        message = "Certificate request has been approved by cert-manager.io"
        conditions = with_condition(
            request.status.conditions, "Approved", "True", "cert-manager.io", message, now=self.environment.now()
        )
        await self._patch(request, {"conditions": conditions})
        await self._event("approver", request, "Normal", "cert-manager.io", message)

    async def _issuer(self, request: cm.CertificateRequest) -> cm.Issuer | cm.ClusterIssuer | None:
        """The issuer if it is ready; otherwise reports that it is not, and waits for a change."""
        reference = request.spec.issuer_ref
        kubernetes = self.environment.kubernetes
        issuer: cm.Issuer | cm.ClusterIssuer
        try:
            if reference.kind == CLUSTER_ISSUER:
                issuer = await kubernetes.get(cm.ClusterIssuer, reference.name)
            else:
                issuer = await kubernetes.get(cm.Issuer, reference.name, request.namespace)
        except NotFound:
            plural = "clusterissuer" if reference.kind == CLUSTER_ISSUER else "issuer"
            await self._pending(
                request,
                "IssuerNotFound",
                f'Referenced "{reference.kind}" not found: {plural}.cert-manager.io "{reference.name}" not found',
                component="issuer-acme",
            )
            return None
        ready = condition(issuer.status.conditions, "Ready")
        if ready is None or ready.status != "True":
            message = "Referenced issuer does not have a Ready status condition"
            await self._pending(request, "IssuerNotReady", message, component=_component(issuer))
            return None
        return issuer

    async def _sign(self, request: cm.CertificateRequest, issuer: cm.Issuer | cm.ClusterIssuer) -> None:
        if issuer.spec.acme is not None:
            await self._sign_acme(request, issuer, issuer.spec.acme)
        elif issuer.spec.ca is not None:
            await self._sign_ca(request, issuer, issuer.spec.ca)
        elif issuer.spec.self_signed is not None:
            await self._sign_self(request, issuer, issuer.spec.self_signed)

    # --- acme ----------------------------------------------------------------------------------------------------

    async def _sign_acme(
        self,
        request: cm.CertificateRequest,
        issuer: cm.Issuer | cm.ClusterIssuer,
        acme: cm.ACMEIssuer,
    ) -> None:
        try:
            csr = load_request(request)
        except ValueError as error:
            message = f"Failed to decode CSR in spec.request: {error}"
            await self._failed(request, issuer, "RequestParsingError", message)
            return
        names = request_names(csr)
        common_name = common_name_of(csr.subject)
        if common_name and common_name not in (*names["spec.dnsNames"], *names["spec.ipAddresses"]):
            await self._failed(
                request,
                issuer,
                "InvalidOrder",
                "The CSR PEM requests a commonName that is not present in the list of dnsNames or ipAddresses. If a "
                "commonName is set, ACME requires that the value is also present in the list of dnsNames or "
                f'ipAddresses: "{common_name}" does not exist in {_go_quoted(names["spec.dnsNames"])} or '
                f"{_go_quoted(names['spec.ipAddresses'])}",
            )
            return
        manifest = _order_manifest(request, acme, names, common_name)
        name = manifest["metadata"]["name"]
        try:
            order = await self.environment.kubernetes.get(cm.Order, name, request.namespace)
        except NotFound:
            try:
                await self.environment.kubernetes.create(manifest)
            except AlreadyExists:
                return  # the watch triggers a retry
            message = f"Created Order resource {request.namespace}/{name}"
            await self._pending(request, "OrderCreated", message, component="issuer-acme")
            return
        await self._follow_order(request, issuer, order)

    async def _follow_order(
        self,
        request: cm.CertificateRequest,
        issuer: cm.Issuer | cm.ClusterIssuer,
        order: cm.Order,
    ) -> None:
        state = order.status.state
        if state in ("invalid", "expired", "errored"):
            message = (
                f'Failed to wait for order resource "{order.name}" to become ready: order is in "{state}" state: '
                f"{order.status.reason}"
            )
            await self._failed(request, issuer, "OrderFailed", message)
            return
        if state != "valid" or not order.status.certificate:
            message = f'Waiting on certificate issuance from order {order.namespace}/{order.name}: "{state}"'
            await self._pending(request, "OrderPending", message, component="issuer-acme")
            return
        chain = base64.b64decode(order.status.certificate)
        leaf = x509.load_pem_x509_certificates(chain)[0]
        if not same_key(leaf.public_key(), load_request(request).public_key()):
            # The certificate in the order's status belongs to another key: delete the order, so that it is created
            # again.
            await self.environment.kubernetes.delete(cm.Order, order.name, order.namespace)
            return
        await self._issued(request, issuer, chain, b"")

    # --- ca, selfSigned ------------------------------------------------------------------------------------------

    async def _sign_ca(
        self,
        request: cm.CertificateRequest,
        issuer: cm.Issuer | cm.ClusterIssuer,
        ca: cm.CAIssuer,
    ) -> None:
        namespace, name = self.environment.resource_namespace(issuer), ca.secret_name
        secret = await secrets.find(self.environment.kubernetes, namespace, name)
        if secret is None:
            message = f'Referenced secret {namespace}/{name} not found: secret "{name}" not found'
            await self._pending(request, "SecretMissing", message, component="issuer-ca")
            return
        data = secret.decoded
        try:
            authority = Authority.load(data.get("tls.crt", b""), data.get("tls.key", b""))
        except NotAnAuthority as fault:
            message = f"Failed to parse signing CA keypair from secret {namespace}/{name}: {fault}"
            await self._pending(request, "SecretInvalidData", message, component="issuer-ca")
            return
        try:
            content, key = request_content(request), load_request(request).public_key()
        except ValueError as error:
            await self._failed(request, issuer, "SigningError", f"Error generating certificate template: {error}")
            return
        pointers = revocation_pointers(ca.crl_distribution_points, ca.ocsp_servers, ca.issuing_certificate_urls)
        start = self.environment.now()
        chain = authority.issue(
            key,  # type: ignore[arg-type]  # a CSR made by `request` has no other kinds
            replace(content, extensions=(*content.extensions, *pointers)),
            not_before=start,
            not_after=start + _duration(request),
            serial=x509.random_serial_number(),
        )
        await self._issued(request, issuer, chain.encode(), authority.root_pem.encode())

    async def _sign_self(
        self,
        request: cm.CertificateRequest,
        issuer: cm.Issuer | cm.ClusterIssuer,
        itself: cm.SelfSignedIssuer,
    ) -> None:
        name = request.metadata.annotations.get(PRIVATE_KEY, "")
        if not name:
            message = f'Annotation "{PRIVATE_KEY}" missing or reference empty: secret name missing'
            await self._failed(request, issuer, "MissingAnnotation", message)
            return
        secret = await secrets.find(self.environment.kubernetes, request.namespace, name)
        if secret is None:
            message = f'Referenced secret {request.namespace}/{name} not found: secret "{name}" not found'
            await self._pending(request, "MissingSecret", message, component="issuer-selfsigned")
            return
        try:
            key = load_key(secret.decoded.get("tls.key", b""))
        except UnreadableKey as error:
            message = f'Failed to get key "tls.key" referenced in secret {request.namespace}/{name}: {error}'
            await self._pending(request, "ErrorParsingKey", message, component="issuer-selfsigned")
            return
        try:
            chain = self._self_signed(request, key, itself)
        except ValueError as error:
            await self._failed(request, issuer, "ErrorGenerating", f"Error generating certificate template: {error}")
            return
        await self._issued(request, issuer, chain.encode(), chain.encode())

    def _self_signed(self, request: cm.CertificateRequest, key: PrivateKey, itself: cm.SelfSignedIssuer) -> str:
        if not same_key(load_request(request).public_key(), key.public_key()):
            raise ValueError("CSR not signed by referenced private key")
        start = self.environment.now()
        content = request_content(request)
        pointers = revocation_pointers(itself.crl_distribution_points)
        return self_signed(
            key,
            replace(content, extensions=(*content.extensions, *pointers)),
            not_before=start,
            not_after=start + _duration(request),
            serial=x509.random_serial_number(),
        )

    # --- conditions ----------------------------------------------------------------------------------------------

    async def _pending(self, request: cm.CertificateRequest, reason: str, message: str, *, component: str) -> None:
        """`reason` is the event's; the condition's is always Pending. Reported once, not at every reconciliation."""
        ready = condition(request.status.conditions, "Ready")
        await self._write(request, "False", "Pending", message)
        if ready is None or ready.reason != "Pending" or reason != "OrderPending":
            if ready is not None and ready.message == message:
                return
            await self._event(component, request, "Normal", reason, message)

    async def _failed(
        self,
        request: cm.CertificateRequest,
        issuer: cm.Issuer | cm.ClusterIssuer,
        reason: str,
        message: str,
    ) -> None:
        await self._write(request, "False", "Failed", message, {"failureTime": self._time()})
        await self._event(_component(issuer), request, "Warning", reason, message)

    async def _issued(
        self,
        request: cm.CertificateRequest,
        issuer: cm.Issuer | cm.ClusterIssuer,
        chain: bytes,
        ca: bytes,
    ) -> None:
        patch = {"certificate": base64.b64encode(chain).decode()}
        if ca:
            patch["ca"] = base64.b64encode(ca).decode()
        message = "Certificate fetched from issuer successfully"
        await self._write(request, "True", "Issued", message, patch)
        await self._event(_component(issuer), request, "Normal", "CertificateIssued", message)

    async def _write(
        self,
        request: cm.CertificateRequest,
        status: str,
        reason: str,
        message: str,
        more: JsonObject | None = None,
    ) -> None:
        conditions = with_condition(
            request.status.conditions, "Ready", status, reason, message, now=self.environment.now()
        )
        await self._patch(request, {"conditions": conditions, **(more or {})})

    async def _patch(self, request: cm.CertificateRequest, patch: JsonObject) -> None:
        await self.environment.kubernetes.patch_status(cm.CertificateRequest, request.name, request.namespace, patch)

    async def _event(
        self, controller: str, request: cm.CertificateRequest, type_: str, reason: str, message: str
    ) -> None:
        await self.environment.event(f"certificaterequests-{controller}", request, type_, reason, message)

    def _time(self) -> str:
        return write_time(self.environment.now())


def _order_manifest(
    request: cm.CertificateRequest,
    acme: cm.ACMEIssuer,
    names: dict[str, tuple[str, ...]],
    common_name: str,
) -> JsonObject:
    reference = request.spec.issuer_ref
    spec: JsonObject = {
        "request": request.spec.request,
        "issuerRef": {"name": reference.name, "kind": reference.kind, "group": reference.group},
    }
    options = {
        "commonName": common_name,
        "dnsNames": list(names["spec.dnsNames"]),
        "ipAddresses": list(names["spec.ipAddresses"]),
        "duration": request.spec.duration if acme.enable_duration_feature else None,
        "profile": acme.profile,
    }
    spec |= {name: value for name, value in options.items() if value}
    return {
        "apiVersion": cm.Order.KIND.api_version,
        "kind": "Order",
        "metadata": {
            "name": order_name(request.name, cm.OrderSpec.model_validate(spec)),
            "namespace": request.namespace,
            "labels": dict(request.metadata.labels),
            "annotations": dict(request.metadata.annotations),
            "ownerReferences": [owner_reference(request)],
        },
        "spec": spec,
    }


def _component(issuer: cm.Issuer | cm.ClusterIssuer) -> str:
    if issuer.spec.acme is not None:
        return "issuer-acme"
    return "issuer-ca" if issuer.spec.ca is not None else "issuer-selfsigned"


def _duration(request: cm.CertificateRequest) -> timedelta:
    return parse_duration(request.spec.duration) if request.spec.duration else DEFAULT_DURATION


def _is(request: cm.CertificateRequest, type_: str) -> bool:
    found = condition(request.status.conditions, type_)
    return found is not None and found.status == "True"


def _go_quoted(items: tuple[str, ...]) -> str:
    return f"[{' '.join(items)}]"
