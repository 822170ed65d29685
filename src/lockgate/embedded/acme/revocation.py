"""Certificate revocation (RFC 8555 section 7.6) and renewal information (RFC 9773)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lockgate.embedded.acme import identifiers, jws
from lockgate.embedded.acme.exchange import Answer, Request, answer
from lockgate.embedded.acme.issuance import renewal_id, suggested_window
from lockgate.embedded.acme.problems import Problem
from lockgate.embedded.acme.state import Account, Issued, State

# RFC 5280 section 5.3.1, without the reasons that only a CA may use.
REASONS = {0: "unspecified", 1: "keyCompromise", 3: "affiliationChanged", 4: "superseded", 5: "cessationOfOperation"}


@dataclass(frozen=True, slots=True)
class Revocations:
    state: State
    now: Callable[[], datetime]

    def revoke(self, request: Request) -> Answer:
        payload = request.envelope.json()
        reason = payload.get("reason", 0)
        if type(reason) is not int or reason not in REASONS:
            raise Problem("badRevocationReason", f"disallowed revocation reason: {reason!r}")
        issued = self._find(payload.get("certificate"))
        self._authorize(request, issued, reason)
        if issued.revoked is not None:
            raise Problem("alreadyRevoked", "Certificate already revoked")
        issued.revoked, issued.revoked_at = reason, self.now()
        return Answer(200)

    def renewal_info(self, identifier: str) -> Answer:
        issued = self.state.by_renewal_id.get(identifier)
        if issued is None:
            raise Problem("malformed", "Certificate not found", status=404)
        start, end = suggested_window(issued, self.now())
        window = {"start": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "end": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return answer({"suggestedWindow": window}, headers=[("Retry-After", "21600")])

    def _find(self, encoded: object) -> Issued:
        if not isinstance(encoded, str):
            raise Problem("malformed", "revocation has no certificate")
        try:
            certificate = x509.load_der_x509_certificate(jws.decode(encoded, "certificate"))
            issued = self.state.by_renewal_id.get(renewal_id(certificate))
        except (ValueError, x509.ExtensionNotFound):
            raise Problem("malformed", "Unable to parse certificate") from None
        if issued is None or issued.leaves[0] != certificate.public_bytes(Encoding.DER):
            raise Problem("malformed", "Certificate from unrecognized issuer", status=404)
        return issued

    def _authorize(self, request: Request, issued: Issued, reason: int) -> None:
        """Allowed: the ordering account, an account that controls all names, or the certificate's own key."""
        if request.account is None:
            der = request.key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            own = issued.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            if der != own:
                raise Problem("unauthorized", "JWK embedded in revocation request must be the cert's own key")
            return
        if issued.account == request.account.id or self._controls(request.account, issued):
            if reason == 1 and issued.account != request.account.id:
                raise Problem("unauthorized", "only the certificate's own key can report its compromise")
            return
        raise Problem("unauthorized", "The account is not authorized to revoke this certificate")

    def _controls(self, account: Account, issued: Issued) -> bool:
        held = [
            each.name
            for each in self.state.authorizations.values()
            if each.account == account.id and each.status_at(self.now()) == "valid"
        ]
        return all(any(identifiers.covers(have, name) for have in held) for name in issued.names)
