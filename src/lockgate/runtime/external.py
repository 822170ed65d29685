"""What a controller needs that the user runs against an edge: variables, and the arguments of its command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lockgate.edge.options import ISTIOD
from lockgate.embedded.asgi import Application, Receive, Scope, Send
from lockgate.runtime import external_istiod

LOAD_BALANCER_CONTROLLER: Final = "aws-load-balancer-controller"
CERT_MANAGER: Final = "cert-manager"
LOAD_BALANCER_WEBHOOKS: Final = "aws-load-balancer-webhook-service.kube-system.svc"
"""The name in the certificate of the controller's webhooks, as its chart names their Service."""


def arguments(name: str, about: Mapping[str, Any]) -> tuple[str, ...]:
    """The flags of a controller's command, from what a supervisor says of itself."""
    kubeconfig, aws = about["files"]["kubeconfig"], about["aws"]
    match name:
        case "aws-load-balancer-controller":
            certificates = Path(kubeconfig).with_name("webhook-certs")
            return (
                f"--kubeconfig={kubeconfig}",
                f"--cluster-name={about['cluster'] or about['name']}",
                f"--aws-region={aws['region']}",
                f"--aws-vpc-id={aws['vpc']}",
                "--enable-leader-election=false",
                f"--webhook-cert-dir={certificates}",
                "--webhook-cert-file=tls.crt",
                "--webhook-key-file=tls.key",
            )
        case "cert-manager":
            return (
                f"--kubeconfig={kubeconfig}",
                "--leader-elect=false",
                "--cluster-resource-namespace=cert-manager",
                f"--dns01-recursive-nameservers={about['addresses']['dns']}",
                "--dns01-recursive-nameservers-only",
            )
        case "external-dns":
            return (
                f"--kubeconfig={kubeconfig}",
                "--provider=aws",
                "--registry=txt",
                f"--txt-owner-id={about['name']}",
                "--source=ingress",
                "--source=istio-gateway",
                "--source=istio-virtualservice",
            )
        case "istiod":
            return external_istiod.arguments(kubeconfig, about["istiod"]) if "istiod" in about else ()
        case _:
            return ()


def variables(name: str) -> Mapping[str, str]:
    """The variables of a controller's own environment."""
    return external_istiod.variables() if name == ISTIOD else {}


def at_directory(acme: Application) -> Application:
    """The embedded CA at Let's Encrypt's URL: its directory has another path there, and names all others whole."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/directory":
            scope = {**scope, "path": "/acme/directory", "raw_path": b"/acme/directory"}
        await acme(scope, receive, send)

    return serve
