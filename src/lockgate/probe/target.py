"""What a probe is aimed at: an edge that `lockgate up` runs, or the internet and an AWS account."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lockgate.controllers.aws import Aws
from lockgate.probe.names import Server
from lockgate.probe.observing import Place
from lockgate.probe.reach import Direct, ThroughProxy


@dataclass(frozen=True, slots=True)
class Target:
    """`running` says whether it is an edge of this machine, which predicts requests itself. `kubeconfig` are files, and
    None those of the environment; `context` is one of their contexts, and None the current one."""

    place: Place
    aws: Aws | None
    running: bool
    kubeconfig: str | None = None
    context: str | None = None
    profile: str | None = None
    balancer: str = ""
    """The name of the load balancer whose DNS name is the place's entrance; else ""."""


def running(about: Mapping[str, Any]) -> Target:
    """`about` is the supervisor's description of itself."""
    proxy = urlsplit(about["addresses"]["proxy"])
    assert proxy.hostname and proxy.port
    host, _, port = about["addresses"]["dns"].rpartition(":")
    reach = ThroughProxy((proxy.hostname, proxy.port), about["files"]["ca_bundle"])
    account = about["aws"]
    aws = Aws(
        region=account["region"],
        endpoint=about["addresses"]["aws"],
        access_key_id=account["access_key_id"],
        secret_access_key=account["secret_access_key"],
    )
    return Target(
        Place(reach, dns=Server("", host, int(port))), aws, running=True, kubeconfig=about["files"]["kubeconfig"]
    )


def live(resolver: str | None, *, context: str | None, profile: str | None, region: str | None) -> Target:
    """Raises ValueError if `resolver` is not an address with an optional port."""
    server = _server(resolver) if resolver else None
    return Target(
        Place(Direct(), resolver=server),
        Aws.of_profile(profile, region),
        running=False,
        context=context,
        profile=profile,
    )


def _server(text: str) -> Server:
    host, _, port = text.rpartition(":") if text.count(":") == 1 or text.startswith("[") else (text, "", "53")
    try:
        return Server("resolver", str(ipaddress.ip_address(host.strip("[]"))), int(port))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address with an optional port") from None
