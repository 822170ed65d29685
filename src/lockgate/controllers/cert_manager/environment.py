"""What every controller of cert-manager is given: the API, the clock, the pace, and who tells of what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lockgate.controllers.aws import Aws
from lockgate.controllers.dns import NameServer
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.controllers.runtime import EventRecorder
from lockgate.resources.kinds import ClusterIssuer, Issuer
from lockgate.resources.model import Resource

CLUSTER_ISSUER = "ClusterIssuer"


@dataclass(frozen=True, slots=True)
class AcmeEndpoint:
    """Where an issuer's `server` URL is really found. `ca_bundle` is what to trust there, beside the issuer's own;
    `stand_in` names who answers in the URL's place, and is empty when nobody does."""

    url: str
    ca_bundle: Path | None = None
    stand_in: str = ""


@dataclass(frozen=True, slots=True)
class Route53Access:
    """As an issuer asks for it: `region` may be empty; no key id means ambient credentials."""

    region: str = ""
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. cert-manager checks for propagation every 10 s, and sleeps 60 s before it lets the CA look, because
    the internet's name servers lag behind each other. Here there is one, so neither serves anyone."""

    propagation_check: float = 0.05
    propagation_check_longest: float = 10.0
    settle: float = 0.0
    poll: float = 0.01  # the first wait for the CA; doubled with every look
    poll_longest: float = 2.0
    authorization_timeout: float = 120.0
    shared_secret_check: float = 180.0


@dataclass(frozen=True, slots=True)
class Environment:
    kubernetes: Kubernetes
    route53: Callable[[Route53Access], Aws]
    directory: Callable[[str], AcmeEndpoint]
    names: NameServer
    cluster_resource_namespace: str
    now: Callable[[], datetime]
    pace: Pace
    issuer_ambient_credentials: bool
    cluster_issuer_ambient_credentials: bool
    most_concurrent_challenges: int
    _recorders: dict[str, EventRecorder] = field(default_factory=dict)

    def resource_namespace(self, issuer: Issuer | ClusterIssuer) -> str:
        """Where an issuer's Secrets are: a ClusterIssuer's are never beside the Certificate."""
        return issuer.namespace if isinstance(issuer, Issuer) else self.cluster_resource_namespace

    async def tell(self, component: str, about: Resource, type_: str, reason: str, message: str) -> None:
        """An event; `component` is cert-manager's controller, without its prefix."""
        recorder = self._recorders.get(component)
        if recorder is None:
            recorder = self._recorders[component] = EventRecorder(self.kubernetes, f"cert-manager-{component}")
        await recorder.event(about, type_, reason, message)
