"""Orders: created at the CA, split into Challenges, finalized, and their certificates fetched.

Source: cert-manager, `pkg/controller/acmeorders/sync.go`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockgate.certificates.names import challenge_name
from lockgate.certificates.solvers import NONE_FITS, pick, solver_type
from lockgate.certificates.times import parse_duration, write_time
from lockgate.controllers.cert_manager.accounts import AccountProblem, Accounts
from lockgate.controllers.cert_manager.acme_client import AcmeClient, AcmeError, AuthorizationAnswer, OrderAnswer
from lockgate.controllers.cert_manager.environment import CLUSTER_ISSUER, Environment
from lockgate.controllers.cert_manager.secrets import SecretProblem
from lockgate.resources import cert_manager as cm
from lockgate.resources.meta import condition
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.status import AlreadyExists, NotFound

FINALIZER = "acme.cert-manager.io/finalizer"
FINAL = ("valid", "invalid", "expired", "errored")
_STILL_PENDING_CHECK = 5.0  # seconds, if all challenges are done but the CA's order is still pending


class IssuerUnavailable(Exception):
    """The issuer does not exist or is not ready: retry with back-off."""


@dataclass(frozen=True, slots=True)
class Orders:
    environment: Environment
    accounts: Accounts
    again_after: Callable[[ObjectKey, float], None]

    async def reconcile(self, key: ObjectKey) -> None:
        try:
            order = await self.environment.kubernetes.get(cm.Order, key.name, key.namespace)
        except NotFound:
            return
        if order.metadata.deletion_timestamp:
            return
        if order.status.state in FINAL:
            await self._clean_up(order)
            return
        issuer, acme = await find_issuer(self.environment, order.spec.issuer_ref, order.namespace)
        try:
            client = await self.accounts.client(issuer)
        except (AccountProblem, SecretProblem) as problem:
            raise IssuerUnavailable(str(problem)) from None
        try:
            if not order.status.url:
                order = await self._create(order, client, acme)
            await self._advance(order, client, issuer, acme)
        except _Errored as outcome:
            await self._patch(
                order,
                {"state": "errored", "reason": str(outcome), "failureTime": write_time(self.environment.now())},
            )

    # --- the order at the CA -------------------------------------------------------------------------------------

    async def _create(self, order: cm.Order, client: AcmeClient, acme: cm.ACMEIssuer) -> cm.Order:
        names = list(order.spec.dns_names)
        if order.spec.common_name and order.spec.common_name not in (*names, *order.spec.ip_addresses):
            names.append(order.spec.common_name)
        if order.spec.ip_addresses:
            raise _Errored("Failed to create Order: IP addresses cannot be validated over DNS")
        not_after = ""
        if acme.enable_duration_feature and order.spec.duration:
            not_after = write_time(self.environment.now() + parse_duration(order.spec.duration))
        try:
            answer = await client.new_order(
                names, not_after=not_after, profile=order.spec.profile, replaces=order.spec.replaces
            )
        except AcmeError as error:
            raise _final(error, "Failed to create Order") from None
        # Written before the authorizations are fetched, so that a retry does not create a second order.
        written = await self._patch(
            order,
            {
                "url": answer.url,
                "finalizeURL": answer.finalize,
                "state": answer.status,
                "authorizations": [{"url": url} for url in answer.authorizations],
            },
        )
        return cm.Order.model_validate(written)

    async def _advance(
        self,
        order: cm.Order,
        client: AcmeClient,
        issuer: cm.Issuer | cm.ClusterIssuer,
        acme: cm.ACMEIssuer,
    ) -> None:
        if any(not each.challenges for each in order.status.authorizations):
            order = await self._fetch_authorizations(order, client)
        state: str = order.status.state
        if state == "pending":
            challenges = await self._challenges(order, client, acme)
            if challenges is None:
                return
            if not all(each.status.state in FINAL for each in challenges):
                return
            answer = await self._ask(order, client)
            state = answer.status
            if state == "pending":
                self.again_after(order.key, _STILL_PENDING_CHECK)
                return
            await self._record(order, answer)
        if state in ("ready", "processing"):
            await self._finalize(order, client, acme)
        elif state == "valid":
            await self._store(order, client, acme, await self._ask(order, client))

    async def _ask(self, order: cm.Order, client: AcmeClient) -> OrderAnswer:
        try:
            return await client.order(order.status.url)
        except AcmeError as error:
            raise _final(error, "Failed to retrieve Order resource") from None

    async def _fetch_authorizations(self, order: cm.Order, client: AcmeClient) -> cm.Order:
        fetched = []
        for each in order.status.authorizations:
            try:
                fetched.append(_document(await client.authorization(each.url)))
            except AcmeError as error:
                raise _final(error, "Failed to fetch authorization") from None
        return cm.Order.model_validate(await self._patch(order, {"authorizations": fetched}))

    async def _finalize(self, order: cm.Order, client: AcmeClient, acme: cm.ACMEIssuer) -> None:
        csr = x509.load_pem_x509_csr(base64.b64decode(order.spec.request)).public_bytes(Encoding.DER)
        try:
            answer = await client.finalize(order.status.url, order.status.finalize_url, csr)
        except AcmeError as error:
            if error.status != 403:
                raise _final(error, "Failed to finalize Order") from None
            # An earlier attempt may have succeeded without a response.
            answer = await self._ask(order, client)
            if answer.status not in ("valid", "processing"):
                raise _Errored(f"Failed to finalize Order: {error}") from None
        wait = self.environment.pace.poll
        deadline = self.environment.pace.authorization_timeout
        while answer.status == "processing" and deadline > 0:
            await asyncio.sleep(wait)
            deadline -= wait
            wait = min(wait * 2, self.environment.pace.poll_longest)
            answer = await self._ask(order, client)
        await self._store(order, client, acme, answer)

    async def _store(self, order: cm.Order, client: AcmeClient, acme: cm.ACMEIssuer, answer: OrderAnswer) -> None:
        if answer.status != "valid" or not answer.certificate:
            await self._record(order, answer)
            return
        try:
            chain = await client.certificate(answer.certificate, acme.preferred_chain)
        except AcmeError as error:
            raise _final(error, "Failed to retrieve signed certificate") from None
        await self._patch(order, {"state": "valid", "certificate": base64.b64encode(chain).decode()})
        message = "Order completed successfully"
        await self.environment.event("orders", order, "Normal", "Complete", message)

    async def _record(self, order: cm.Order, answer: OrderAnswer) -> None:
        patch: JsonObject = {"state": answer.status}
        if answer.status in ("invalid", "expired"):
            # The Challenge reports the error of its authorization.
            patch |= {"reason": answer.error, "failureTime": write_time(self.environment.now())}
        await self._patch(order, patch)

    # --- challenges ----------------------------------------------------------------------------------------------

    async def _challenges(self, order: cm.Order, client: AcmeClient, acme: cm.ACMEIssuer) -> list[cm.Challenge] | None:
        """The Challenge of each pending authorization; None if no solver matches one."""
        found = []
        for authorization in order.status.authorizations:
            if authorization.initial_state != "pending":
                continue
            manifest = _challenge_manifest(order, authorization, client, acme)
            if manifest is None:
                await self.environment.event("orders", order, "Warning", "Solver", NONE_FITS)
                return None
            found.append(await self._challenge(order, manifest))
        return found

    async def _challenge(self, order: cm.Order, manifest: JsonObject) -> cm.Challenge:
        name = manifest["metadata"]["name"]
        try:
            return await self.environment.kubernetes.get(cm.Challenge, name, order.namespace)
        except NotFound:
            pass
        try:
            created = await self.environment.kubernetes.create(manifest)
        except AlreadyExists:
            return await self.environment.kubernetes.get(cm.Challenge, name, order.namespace)
        message = f'Created Challenge resource "{name}" for domain "{manifest["spec"]["dnsName"]}"'
        await self.environment.event("orders", order, "Normal", "Created", message)
        return cm.Challenge.model_validate(created)

    async def _clean_up(self, order: cm.Order) -> None:
        for challenge in await self.environment.kubernetes.list(cm.Challenge, order.namespace):
            owned = any(owner.uid == order.metadata.uid for owner in challenge.metadata.owner_references)
            # A failed challenge stays, and reports why.
            if owned and order.status.state == "valid" and not challenge.metadata.deletion_timestamp:
                try:
                    await self.environment.kubernetes.delete(cm.Challenge, challenge.name, challenge.namespace)
                except NotFound:
                    continue

    async def _patch(self, order: cm.Order, patch: JsonObject) -> JsonObject:
        return await self.environment.kubernetes.patch_status(cm.Order, order.name, order.namespace, patch)


class _Errored(Exception):
    """The CA's response is final, and therefore the order."""


def _final(error: AcmeError, what: str) -> Exception:
    return _Errored(f"{what}: {error}") if error.is_final else error


async def find_issuer(
    environment: Environment, reference: cm.IssuerReference, namespace: str
) -> tuple[cm.Issuer | cm.ClusterIssuer, cm.ACMEIssuer]:
    """A ready ACME issuer. Raises `IssuerUnavailable`."""
    issuer: cm.Issuer | cm.ClusterIssuer
    try:
        if reference.kind == CLUSTER_ISSUER:
            issuer = await environment.kubernetes.get(cm.ClusterIssuer, reference.name)
        else:
            issuer = await environment.kubernetes.get(cm.Issuer, reference.name, namespace)
    except NotFound:
        raise IssuerUnavailable(f'{reference.kind} "{reference.name}" not found') from None
    if issuer.spec.acme is None:
        raise IssuerUnavailable(f'{reference.kind} "{reference.name}" is not an ACME issuer')
    ready = condition(issuer.status.conditions, "Ready")
    if ready is None or ready.status != "True":
        raise IssuerUnavailable("Issuer is not ready")
    return issuer, issuer.spec.acme


def _challenge_manifest(
    order: cm.Order,
    authorization: cm.ACMEAuthorization,
    client: AcmeClient,
    acme: cm.ACMEIssuer,
) -> JsonObject | None:
    offered: Mapping[str, tuple[str, str]] = {each.type: (each.url, each.token) for each in authorization.challenges}
    wildcard = bool(authorization.wildcard)
    solver = pick(
        acme.solvers,
        authorization.identifier,
        wildcard=wildcard,
        labels=order.metadata.labels,
        offered=offered.keys(),
    )
    if solver is None:
        return None
    kind = solver_type(solver)
    url, token = offered[kind]
    key = client.key_authorization_digest(token) if kind == "dns-01" else client.key_authorization(token)
    reference = order.spec.issuer_ref
    spec: JsonObject = {
        "url": url,
        "authorizationURL": authorization.url,
        "dnsName": authorization.identifier,
        "wildcard": wildcard,
        "type": kind.upper(),
        "token": token,
        "key": key,
        "solver": _solver_document(solver),
        "issuerRef": {"name": reference.name, "kind": reference.kind, "group": reference.group},
    }
    return {
        "apiVersion": cm.Challenge.KIND.api_version,
        "kind": "Challenge",
        "metadata": {
            "name": challenge_name(order.name, spec),
            "namespace": order.namespace,
            "labels": dict(order.metadata.labels),
            "finalizers": [FINALIZER],
            "ownerReferences": [
                {
                    "apiVersion": cm.Order.KIND.api_version,
                    "kind": "Order",
                    "name": order.name,
                    "uid": order.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": spec,
    }


def _solver_document(solver: cm.Solver) -> JsonObject:
    return solver.model_dump(by_alias=True, exclude_defaults=True)


def _document(answer: AuthorizationAnswer) -> JsonObject:
    return {
        "url": answer.url,
        "identifier": answer.identifier,
        "wildcard": answer.wildcard,
        "initialState": answer.status,
        "challenges": [{"url": each.url, "token": each.token, "type": each.type} for each in answer.challenges],
    }
