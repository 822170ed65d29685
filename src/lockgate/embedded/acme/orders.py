"""Orders, from newOrder to the download of the chain: RFC 8555 sections 7.4 and 7.5."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lockgate.certificates.authority import Authority
from lockgate.embedded.acme import identifiers, issuance, jws
from lockgate.embedded.acme.dns01 import Validator, record_value
from lockgate.embedded.acme.exchange import Answer, Request, answer, link
from lockgate.embedded.acme.issuance import Profile
from lockgate.embedded.acme.limits import Counters
from lockgate.embedded.acme.problems import Problem
from lockgate.embedded.acme.state import Account, Authorization, Challenge, Issued, Order, State

ORDER_LIFETIME = timedelta(days=7)
PENDING_LIFETIME = timedelta(days=7)
VALID_LIFETIME = timedelta(days=30)


@dataclass(slots=True)
class Orders:
    """`authorities` sign: the first one's chain is the default, the others' are alternates."""

    state: State
    base: str
    authorities: Sequence[Authority]
    profiles: Mapping[str, Profile]
    validator: Validator
    counters: Counters
    now: Callable[[], datetime]
    reuse_authorizations: bool
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    # --- newOrder ------------------------------------------------------------------------------------------------

    def create(self, request: Request) -> Answer:
        account, payload, now = request.caller, request.envelope.json(), self.now()
        names = identifiers.read(payload.get("identifiers"))
        profile = self._profile(payload.get("profile"))
        not_before, not_after = self._validity(payload, self.profiles[profile], now)
        replaced = self._replaced(payload.get("replaces"), account, names)
        self.counters.check_order(account.id, names, now)
        self.counters.count_order(account.id, now)
        order = Order(
            id=secrets.token_hex(10),
            account=account.id,
            names=names,
            authorizations=tuple(self._authorization(account, name, now) for name in names),
            expires=now + ORDER_LIFETIME,
            profile=profile,
            asked_for=now,
            not_before=not_before,
            not_after=not_after,
            replaces=replaced.renewal_id if replaced else None,
        )
        self.state.add_order(order)
        if replaced:
            replaced.replaced_by = order.id
        return self._answer(order, status=201)

    def _profile(self, requested: object) -> str:
        default = next(iter(self.profiles))
        if requested in (None, ""):
            return default
        if not isinstance(requested, str) or requested not in self.profiles:
            raise Problem("invalidProfile", f"profile {requested!r} not recognized")
        return requested

    def _validity(
        self, payload: Mapping[str, Any], profile: Profile, now: datetime
    ) -> tuple[datetime | None, datetime | None]:
        start, end = _time(payload, "notBefore"), _time(payload, "notAfter")
        if start and not now - issuance.BACKDATED <= start <= now + timedelta(days=1):
            raise Problem("malformed", "notBefore must be within an hour before and a day after now")
        if end and not (start or now) < end <= (start or now) + profile.lifetime:
            raise Problem("malformed", f"notAfter must be within {profile.lifetime.days} days after the beginning")
        return start, end

    def _replaced(self, requested: object, account: Account, names: tuple[str, ...]) -> Issued | None:
        """RFC 9773 section 5: the certificate that an order replaces."""
        if requested in (None, ""):
            return None
        issued = self.state.by_renewal_id.get(requested) if isinstance(requested, str) else None
        if issued is None:
            raise Problem("malformed", "replaces does not name a certificate of this CA")
        if issued.account != account.id:
            raise Problem("unauthorized", "requester account did not request the certificate being replaced")
        if not set(names) & set(issued.names):
            raise Problem("malformed", "certificate being replaced shares no identifier with this order")
        if issued.replaced_by is not None:
            predecessor = self.state.orders.get(issued.replaced_by)
            if predecessor is None or predecessor.status_at(self.now()) != "invalid":
                raise Problem("alreadyReplaced", f"certificate {requested!r} was already replaced")
        return issued

    def _authorization(self, account: Account, name: str, now: datetime) -> Authorization:
        earlier = self.state.latest_authorization(account.id, name)
        if self.reuse_authorizations and earlier and earlier.status_at(now) in ("valid", "pending"):
            return earlier
        authorization = Authorization(
            id=secrets.token_hex(10),
            account=account.id,
            domain=name.removeprefix("*."),
            wildcard=name.startswith("*."),
            expires=now + PENDING_LIFETIME,
            challenge=Challenge(id=secrets.token_hex(6), token=secrets.token_urlsafe(32)),
        )
        self.state.add_authorization(authorization)
        return authorization

    # --- reading -------------------------------------------------------------------------------------------------

    def show(self, request: Request) -> Answer:
        request.must_be_read()
        return self._answer(self._order(request))

    def authorization(self, request: Request) -> Answer:
        authorization = self._own_authorization(request, request.path[0])
        if not request.is_read:
            if request.envelope.json().get("status") != "deactivated":
                raise Problem("malformed", 'authorizations can only be updated with the status "deactivated"')
            if authorization.status_at(self.now()) not in ("pending", "valid"):
                raise Problem("malformed", "only pending and valid authorizations can be deactivated")
            authorization.status = "deactivated"
        return answer(self._authorization_document(authorization))

    def certificate(self, request: Request) -> Answer:
        request.must_be_read()
        issued = self.state.certificates.get(request.path[0])
        if issued is None:
            raise Problem("malformed", "Certificate not found", status=404)
        if issued.account != request.caller.id:
            raise Problem("unauthorized", "Account in use did not issue specified certificate")
        requested = request.path[1] if len(request.path) > 1 else "0"
        chosen = int(requested) if re.fullmatch("0|[1-9][0-9]{0,2}", requested) else len(issued.leaves)
        if len(request.path) > 2 or chosen >= len(issued.leaves):
            raise Problem("malformed", "Unknown issuance chain", status=404)
        url = f"{self.base}/certificate/{issued.id}"
        alternates = [
            link(f"{url}/{index}" if index else url, "alternate")
            for index in range(len(issued.leaves))
            if index != chosen
        ]
        chain = issuance.chain(issued, self.authorities, chosen)
        return Answer(200, chain.encode(), "application/pem-certificate-chain", alternates)

    # --- validation ----------------------------------------------------------------------------------------------

    def challenge(self, request: Request) -> Answer:
        """POST-as-GET returns a challenge. An empty object, ``{}``, starts its validation."""
        authorization = self._own_authorization(request, request.path[0])
        challenge = authorization.challenge
        if request.path[1:] != (challenge.id,):
            raise Problem("malformed", "No such challenge", status=404)
        if not request.is_read:
            if "keyAuthorization" in request.envelope.json():
                raise Problem("malformed", "keyAuthorization belongs to an old draft: send an empty object")
            status = authorization.status_at(self.now())
            if status == "expired":
                raise Problem("malformed", "Expired authorization", status=404)
            if challenge.status == "pending" and status == "pending":
                challenge.status = "processing"
                key = jws.thumbprint(request.caller.key)
                task = asyncio.create_task(self._validate(authorization, record_value(challenge.token, key)))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        up = link(f"{self.base}/authorization/{authorization.id}", "up")
        headers = [up, ("Location", self._challenge_url(authorization))]
        return answer(self._challenge_document(authorization), headers=headers)

    async def _validate(self, authorization: Authorization, expected: str) -> None:
        challenge = authorization.challenge
        try:
            await self.validator.validate(authorization.domain, wildcard=authorization.wildcard, expected=expected)
        except Problem as problem:
            now = self.now()
            challenge.status, challenge.error, challenge.validated = "invalid", problem.document(), now
            if authorization.status == "pending":
                authorization.status = "invalid"
            self.counters.count_failure(authorization.account, authorization.domain, now)
        except Exception:
            challenge.status = "invalid"
            challenge.error = Problem("serverInternal", "Validation broke off").document()
            authorization.status = "invalid"
            raise
        else:
            challenge.status, challenge.validated = "valid", self.now()
            if authorization.status == "pending":
                authorization.status = "valid"
                authorization.expires = self.now() + VALID_LIFETIME

    # --- finalize ------------------------------------------------------------------------------------------------

    def finalize(self, request: Request) -> Answer:
        order, now = self._order(request), self.now()
        if (status := order.status_at(now)) != "ready":
            raise Problem("orderNotReady", f"Order's status ({status!r}) is not acceptable for finalization")
        encoded = request.envelope.json().get("csr")
        if not isinstance(encoded, str):
            raise Problem("malformed", "finalize request has no csr")
        csr = issuance.read_request(jws.decode(encoded, "csr"), order, request.caller.key)
        self.counters.check_order(order.account, order.names, now)
        order.issuing = True
        try:
            issued = issuance.issue(order, csr, self.authorities, self.profiles[order.profile], now)
        except Exception:
            order.error = Problem("serverInternal", "Error finalizing order").document()
            raise
        finally:
            order.issuing = False
        self.state.add_certificate(issued)
        self.counters.count_certificate(order.names, now)
        order.certificate = issued.id
        return self._answer(order)

    # --- documents -----------------------------------------------------------------------------------------------

    def _answer(self, order: Order, *, status: int = 200) -> Answer:
        # Go's client reads the order's URL from this header of every answer, not only of newOrder's.
        headers = [("Location", f"{self.base}/order/{order.id}")]
        if order.status_at(self.now()) in ("pending", "processing"):
            headers.append(("Retry-After", "1"))
        return answer(self._order_document(order), status=status, headers=headers)

    def _order_document(self, order: Order) -> dict[str, Any]:
        url = f"{self.base}/order/{order.id}"
        document: dict[str, Any] = {
            "status": order.status_at(self.now()),
            "expires": _text(order.expires),
            "identifiers": [{"type": "dns", "value": name} for name in order.names],
            "profile": order.profile,
            "authorizations": [f"{self.base}/authorization/{each.id}" for each in order.authorizations],
            "finalize": f"{url}/finalize",
        }
        if order.not_before:
            document["notBefore"] = _text(order.not_before)
        if order.not_after:
            document["notAfter"] = _text(order.not_after)
        if order.replaces:
            document["replaces"] = order.replaces
        if order.error:
            document["error"] = order.error
        if order.certificate:
            document["certificate"] = f"{self.base}/certificate/{order.certificate}"
        return document

    def _authorization_document(self, authorization: Authorization) -> dict[str, Any]:
        document: dict[str, Any] = {
            "identifier": {"type": "dns", "value": authorization.domain},
            "status": authorization.status_at(self.now()),
            "expires": _text(authorization.expires),
            "challenges": [self._challenge_document(authorization)],
        }
        if authorization.wildcard:
            document["wildcard"] = True
        return document

    def _challenge_document(self, authorization: Authorization) -> dict[str, Any]:
        challenge = authorization.challenge
        document: dict[str, Any] = {
            "type": challenge.type,
            "url": self._challenge_url(authorization),
            "token": challenge.token,
            "status": challenge.status,
        }
        if challenge.validated:
            document["validated"] = _text(challenge.validated)
        if challenge.error:
            document["error"] = challenge.error
        return document

    def _challenge_url(self, authorization: Authorization) -> str:
        return f"{self.base}/challenge/{authorization.id}/{authorization.challenge.id}"

    def _order(self, request: Request) -> Order:
        order = self.state.orders.get(request.path[0])
        if order is None or order.account != request.caller.id:
            # Do not disclose whether another account has such an order.
            raise Problem("malformed", "No order found for this account", status=404)
        order.asked_for = self.now()
        return order

    def _own_authorization(self, request: Request, identifier: str) -> Authorization:
        authorization = self.state.authorizations.get(identifier)
        if authorization is None:
            raise Problem("malformed", "No such authorization", status=404)
        if authorization.account != request.caller.id:
            raise Problem("unauthorized", "User account ID doesn't match account ID in authorization")
        return authorization


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(payload: Mapping[str, Any], member: str) -> datetime | None:
    value = payload.get(member)
    if value in (None, ""):
        return None
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Problem("malformed", f"{member} is not a valid RFC 3339 time") from None
    if time.tzinfo is None:
        raise Problem("malformed", f"{member} has no time zone")
    return time
