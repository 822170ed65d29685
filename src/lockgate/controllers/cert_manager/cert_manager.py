"""cert-manager: the queues of its kinds, and the objects that each change affects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

from lockgate.certificates.ingress_shim import asks
from lockgate.controllers.aws import Aws
from lockgate.controllers.cert_manager.accounts import Accounts
from lockgate.controllers.cert_manager.certificates import Certificates
from lockgate.controllers.cert_manager.challenges import Challenges
from lockgate.controllers.cert_manager.environment import (
    AcmeEndpoint,
    Environment,
    Pace,
    Route53Access,
    ambient_of_nobody,
)
from lockgate.controllers.cert_manager.ingress_shim import IngressShim
from lockgate.controllers.cert_manager.issuers import Issuers
from lockgate.controllers.cert_manager.orders import Orders
from lockgate.controllers.cert_manager.requests import Requests
from lockgate.controllers.cert_manager.route53 import Route53Solver
from lockgate.controllers.dns import NameServer
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.runtime import Queue, follow
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, networking
from lockgate.resources.model import ObjectKey, Resource, ResourceT

WORKERS = 4  # a CA that does not answer blocks a few objects, not all


class CertManager:
    """`route53` creates a client with an issuer's credentials, `ambient` returns those of cert-manager's Pod for a
    region, and `directory` maps an issuer's server to its real address. `dns_server` is queried for records.
    `cluster_resource_namespace` has the ClusterIssuers' Secrets; in Helm's chart it is cert-manager's namespace.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        *,
        route53: Callable[[Route53Access], Aws],
        ambient: Callable[[str], Awaitable[Route53Access]] = ambient_of_nobody,
        directory: Callable[[str], AcmeEndpoint] = AcmeEndpoint,
        dns_server: tuple[str, int],
        cluster_resource_namespace: str = "cert-manager",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pace: Pace | None = None,
        issuer_ambient_credentials: bool = False,
        cluster_issuer_ambient_credentials: bool = True,
        most_concurrent_challenges: int = 60,
    ) -> None:
        self._kubernetes = kubernetes
        environment = Environment(
            kubernetes=kubernetes,
            route53=route53,
            ambient=ambient,
            directory=directory,
            names=NameServer(*dns_server),
            cluster_resource_namespace=cluster_resource_namespace,
            now=now,
            pace=pace or Pace(),
            issuer_ambient_credentials=issuer_ambient_credentials,
            cluster_issuer_ambient_credentials=cluster_issuer_ambient_credentials,
            most_concurrent_challenges=most_concurrent_challenges,
        )
        self._environment = environment
        # First and longest delay after a failure: cert-manager's, except for a quicker start.
        self._issuer_queue: Queue[ObjectKey] = Queue(first_delay=0.2, max_delay=300.0)
        self._certificate_queue: Queue[ObjectKey] = Queue(first_delay=0.1, max_delay=30.0)
        self._request_queue: Queue[ObjectKey] = Queue(first_delay=0.1, max_delay=300.0)
        self._order_queue: Queue[ObjectKey] = Queue(first_delay=0.2, max_delay=1800.0)
        self._challenge_queue: Queue[ObjectKey] = Queue(first_delay=0.2, max_delay=1800.0)
        self._schedule_queue: Queue[str] = Queue()
        self._ingress_queue: Queue[ObjectKey] = Queue(first_delay=0.2, max_delay=300.0)

        self._accounts = Accounts(environment)
        self._issuers = Issuers(environment, self._accounts)
        self._certificates = Certificates(environment, self._certificate_queue.add_after)
        self._requests = Requests(environment)
        self._shim = IngressShim(environment)
        self._orders = Orders(environment, self._accounts, self._order_queue.add_after)
        self._challenges = Challenges(
            environment, self._accounts, Route53Solver(environment), self._challenge_queue.add_after
        )
        self._cache: dict[type[Resource], dict[ObjectKey, Resource]] = {}

    async def run(self) -> None:
        """Runs until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for watch in (
                    self._follow(cm.ClusterIssuer, self._issuer_changed),
                    self._follow(cm.Issuer, self._issuer_changed),
                    self._follow(core.Secret, self._secret_changed),
                    self._follow(cm.Certificate, self._certificate_changed),
                    self._follow(cm.CertificateRequest, self._request_changed),
                    self._follow(cm.Order, self._order_changed),
                    self._follow(cm.Challenge, self._challenge_changed),
                    follow(self._kubernetes, networking.Ingress, self._ingress_changed),
                ):
                    group.create_task(watch)
                for queue, reconcile, name in (
                    (self._issuer_queue, self._issuers.reconcile, "cert-manager issuers"),
                    (self._certificate_queue, self._certificates.reconcile, "cert-manager certificates"),
                    (self._request_queue, self._requests.reconcile, "cert-manager requests"),
                    (self._order_queue, self._orders.reconcile, "cert-manager orders"),
                    (self._challenge_queue, self._challenges.reconcile, "cert-manager challenges"),
                    (self._ingress_queue, self._shim.reconcile, "cert-manager ingress-shim"),
                ):
                    group.create_task(queue.run(reconcile, name=name, workers=WORKERS))
                group.create_task(self._schedule_queue.run(self._schedule, name="cert-manager scheduler"))
        finally:
            self._accounts.close()

    @property
    def retried(self) -> dict[ObjectKey, str]:
        """Objects that are retried, with their last error."""
        queues = (
            self._issuer_queue,
            self._certificate_queue,
            self._request_queue,
            self._order_queue,
            self._challenge_queue,
        )
        return {key: error for queue in queues for key, error in queue.errors.items()}

    async def _schedule(self, _: str) -> None:
        await self._challenges.schedule()

    # --- which change affects which objects ----------------------------------------------------------------------

    async def _follow(self, kind: type[ResourceT], changed: Callable[[ResourceT], None]) -> None:
        cached = self._cache.setdefault(kind, {})
        async for change in self._kubernetes.watch(kind):
            if change.object is None:
                continue
            if change.type == "DELETED":
                cached.pop(change.object.key, None)
            else:
                cached[change.object.key] = change.object
            changed(change.object)

    def _all(self, kind: type[ResourceT]) -> Iterator[ResourceT]:
        for resource in self._cache.get(kind, {}).values():
            assert isinstance(resource, kind)
            yield resource

    def _issuer_changed(self, issuer: cm.Issuer | cm.ClusterIssuer) -> None:
        self._issuer_queue.add(issuer.key)
        for request in self._all(cm.CertificateRequest):
            if _names(request, issuer):
                self._request_queue.add(request.key)
        for order in self._all(cm.Order):
            if _names(order, issuer):
                self._order_queue.add(order.key)
        for challenge in self._all(cm.Challenge):
            if _names(challenge, issuer):
                self._challenge_queue.add(challenge.key)

    def _ingress_changed(self, ingress: networking.Ingress) -> None:
        if asks(ingress):
            self._ingress_queue.add(ingress.key)

    def _certificate_changed(self, certificate: cm.Certificate) -> None:
        self._add_owner(certificate, networking.Ingress, self._ingress_queue)
        for each in self._all(cm.Certificate):
            if (each.namespace, each.spec.secret_name) == (certificate.namespace, certificate.spec.secret_name):
                self._certificate_queue.add(each.key)

    def _secret_changed(self, secret: core.Secret) -> None:
        self._add_owner(secret, cm.Certificate, self._certificate_queue)
        for certificate in self._all(cm.Certificate):
            if (certificate.namespace, certificate.spec.secret_name) == (secret.namespace, secret.name):
                self._certificate_queue.add(certificate.key)
        issuers: list[cm.Issuer | cm.ClusterIssuer] = [
            *self._all(cm.Issuer),
            *self._all(cm.ClusterIssuer),
        ]
        for issuer in issuers:
            if secret.namespace == self._environment.resource_namespace(issuer) and secret.name in _secrets_of(issuer):
                self._issuer_changed(issuer)

    def _request_changed(self, request: cm.CertificateRequest) -> None:
        self._request_queue.add(request.key)
        self._add_owner(request, cm.Certificate, self._certificate_queue)

    def _order_changed(self, order: cm.Order) -> None:
        self._order_queue.add(order.key)
        self._add_owner(order, cm.CertificateRequest, self._request_queue)

    def _challenge_changed(self, challenge: cm.Challenge) -> None:
        self._challenge_queue.add(challenge.key)
        self._add_owner(challenge, cm.Order, self._order_queue)
        self._schedule_queue.add("")

    def _add_owner(self, resource: Resource, kind: type[Resource], queue: Queue[ObjectKey]) -> None:
        for owner in resource.metadata.owner_references:
            if owner.kind == kind.KIND.kind and owner.controller:
                queue.add(ObjectKey(kind.KIND.group, kind.KIND.kind, resource.namespace, owner.name))


def _names(
    resource: cm.CertificateRequest | cm.Order | cm.Challenge,
    issuer: cm.Issuer | cm.ClusterIssuer,
) -> bool:
    reference = resource.spec.issuer_ref
    if reference.name != issuer.name or reference.kind != issuer.KIND.kind:
        return False
    return isinstance(issuer, cm.ClusterIssuer) or resource.namespace == issuer.namespace


def _secrets_of(issuer: cm.Issuer | cm.ClusterIssuer) -> set[str]:
    """The Secrets that an issuer reads."""
    references: list[cm.SecretKeyReference | None] = []
    acme = issuer.spec.acme
    if acme is not None:
        references.append(acme.private_key_secret_ref)
        if acme.external_account_binding is not None:
            references.append(acme.external_account_binding.key_secret_ref)
        for solver in acme.solvers:
            if solver.dns01 is not None and solver.dns01.route53 is not None:
                route53 = solver.dns01.route53
                references += [route53.access_key_id_secret_ref, route53.secret_access_key_secret_ref]
    found = {each.name for each in references if each is not None}
    return found | {issuer.spec.ca.secret_name} if issuer.spec.ca is not None else found
