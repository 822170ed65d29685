"""The dependencies of all cert-manager controllers: the API, the clock, the pace, and the event recorder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lockgate.controllers.aws import Aws
from lockgate.controllers.dns import NameServer
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.runtime import EventRecorder
from lockgate.resources import cert_manager as cm
from lockgate.resources.model import Resource

CLUSTER_ISSUER = "ClusterIssuer"


@dataclass(frozen=True, slots=True)
class AcmeEndpoint:
    """The real address of an issuer's `server` URL. `ca_bundle` is trusted there in addition to the issuer's;
    `stand_in` names the server that replaces the URL's, or is empty."""

    url: str
    ca_bundle: Path | None = None
    stand_in: str = ""


@dataclass(frozen=True, slots=True)
class Route53Access:
    """An issuer's access to Route 53: `region` may be empty; without a key ID, credentials are ambient."""

    region: str = ""
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


async def ambient_of_nobody(region: str) -> Route53Access:
    return Route53Access(region)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. cert-manager checks propagation every 10 s, and waits 60 s before the CA validates, because the
    internet's name servers are not in sync. Here there is only one, so no wait is needed."""

    propagation_check: float = 0.05
    propagation_check_longest: float = 10.0
    settle: float = 0.0
    poll: float = 0.01  # the first wait for the CA; doubled with every poll
    poll_longest: float = 2.0
    authorization_timeout: float = 120.0
    shared_secret_check: float = 180.0


@dataclass(frozen=True, slots=True)
class Environment:
    kubernetes: Kubernetes
    route53: Callable[[Route53Access], Aws]
    ambient: Callable[[str], Awaitable[Route53Access]]
    directory: Callable[[str], AcmeEndpoint]
    names: NameServer
    cluster_resource_namespace: str
    now: Callable[[], datetime]
    pace: Pace
    issuer_ambient_credentials: bool
    cluster_issuer_ambient_credentials: bool
    most_concurrent_challenges: int
    _recorders: dict[str, EventRecorder] = field(default_factory=dict)

    def resource_namespace(self, issuer: cm.Issuer | cm.ClusterIssuer) -> str:
        """The namespace of an issuer's Secrets; a ClusterIssuer's are never in the Certificate's."""
        return issuer.namespace if isinstance(issuer, cm.Issuer) else self.cluster_resource_namespace

    async def event(self, component: str, about: Resource, type_: str, reason: str, message: str) -> None:
        """Records an event; `component` is cert-manager's controller, without its prefix."""
        recorder = self._recorders.get(component)
        if recorder is None:
            recorder = self._recorders[component] = EventRecorder(self.kubernetes, f"cert-manager-{component}")
        await recorder.event(about, type_, reason, message)
