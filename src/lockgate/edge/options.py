"""The options of `up`, from the command line and lockgate.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from lockgate.gateway.telemetry.model import Collector

ISTIOD: Final = "istiod"
CONTROLLERS: Final = ("aws-load-balancer-controller", "cert-manager", "external-dns", ISTIOD, "reflector")
"""The controllers that others can replace, or that can be left out."""

EXTERNAL, OFF = "external", "off"
GRPCS: Final = "grpcs"  # istiod's port with TLS, which is 15012 in a cluster; "grpc" is that without, 15010

GRPC = 4317  # OTLP's port for gRPC, which exporters name with http:// too
TRACES = "/v1/traces"  # OTLP/HTTP's path
NAMED_PORTS = ("kubernetes", "aws", "acme", "dns", "proxy", "metrics", "console")

_BACKEND = re.compile(r"(?P<namespace>[a-z0-9-]+)/(?P<service>[a-z0-9-]+):(?P<port>\d{1,5})=(?P<url>.+)")
_FUNCTION = re.compile(r"lambda:(?P<name>[\w-]{1,64})=(?P<url>.+)")
_PORT = re.compile(r"(?P<name>[a-z]+|\d{1,5})=(?P<port>\d{1,5})")
_LAMBDA = "lambda:"


class BadOption(ValueError):
    """An option has an invalid value. The message describes valid ones."""


@dataclass(frozen=True, slots=True)
class Options:
    paths: tuple[str, ...]
    name: str = "default"
    backends: Mapping[tuple[str, str, int], tuple[str, int]] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)  # Lambda functions' URLs by name
    ports: Mapping[str, int] = field(default_factory=dict)  # by a name of NAMED_PORTS or a listener's port
    open_proxy: bool = False
    supply: bool = True
    """Whether to supply what the manifests take for granted. What these options name always exists."""
    account: str | None = None
    region: str | None = None
    hosted_zones: Mapping[str, str] = field(default_factory=dict)  # IDs by name
    user_pool_clients: Mapping[str, str] = field(default_factory=dict, repr=False)  # secrets by client ID
    quotas: Mapping[str, int] = field(default_factory=dict)  # ELBv2's, by the names of DescribeAccountLimits
    controllers: Mapping[str, str] = field(default_factory=dict)
    """`EXTERNAL` or `OFF`, for each of `CONTROLLERS` that does not run here. For istiod also the URL where it is."""
    empty: bool = False
    """Whether to start without the manifests: with what an account and a cluster have before they are applied."""
    latency: float = 0.0  # seconds that each call of the AWS and Kubernetes APIs takes besides
    failures: tuple[str, ...] = ()  # rules of `embedded.faults`
    collector: Collector | None = None
    opened: tuple[str, ...] = ()
    """One sentence for each setting of lockgate.yaml that exposes or redirects something: the file may be another
    person's."""


def collector(text: str) -> Collector | None:
    """The address of `--otlp`; None for "". Raises `BadOption`."""
    if not text:
        return None
    url = _url(text)
    if url is None or url.scheme not in ("http", "grpc") or not url.port or not is_loopback(url.hostname or ""):
        raise BadOption(
            f"{text!r} is not grpc://HOST:PORT or http://HOST:PORT[/PATH] of this machine, as in "
            "http://127.0.0.1:4318; a collector elsewhere gets spans from one here"
        )
    host = "127.0.0.1" if url.hostname == "localhost" else url.hostname or ""
    if url.scheme == "grpc" or (url.port == GRPC and url.path in ("", "/")):
        return Collector(host, url.port)
    return Collector(host, url.port, TRACES if url.path in ("", "/") else url.path)


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def backends(texts: Sequence[str]) -> dict[tuple[str, str, int], tuple[str, int]]:
    """``NS/SERVICE:PORT=URL`` as a map from Service port to the program's address. Functions are skipped. Raises
    `BadOption`."""
    found: dict[tuple[str, str, int], tuple[str, int]] = {}
    for text in texts:
        if text.startswith(_LAMBDA):
            continue
        match = _BACKEND.fullmatch(text)
        if match is None:
            raise BadOption(f"{text!r} is not NAMESPACE/SERVICE:PORT=URL, as in shop/web:80=http://127.0.0.1:3000")
        url = _url(match["url"])
        if url is None or url.scheme not in ("http", "udp") or not url.port or url.path not in ("", "/"):
            raise BadOption(
                f"{match['url']!r} is not http://HOST:PORT or udp://HOST:PORT; configure TLS to a backend with a "
                "DestinationRule"
            )
        host = "127.0.0.1" if url.hostname == "localhost" else url.hostname or ""
        found[match["namespace"], match["service"], int(match["port"])] = (host, url.port)
    return found


def functions(texts: Sequence[str]) -> dict[str, str]:
    """``lambda:NAME=URL`` as a map from function name to URL. Others are skipped. Raises `BadOption`."""
    found: dict[str, str] = {}
    for text in texts:
        if not text.startswith(_LAMBDA):
            continue
        match = _FUNCTION.fullmatch(text)
        url = _url(match["url"]) if match else None
        if match is None or url is None or url.scheme not in ("http", "https"):
            raise BadOption(f"{text!r} is not lambda:NAME=URL, as in lambda:orders=http://127.0.0.1:3001")
        found[match["name"]] = match["url"]
    return found


def _url(text: str) -> SplitResult | None:
    """None if there is no host, the port is invalid, or it is not a URL."""
    try:
        url = urlsplit(text)
        return url if url.hostname and url.port != 0 and " " not in text else None
    except ValueError:
        return None


def ports(texts: Sequence[str]) -> dict[str, int]:
    """``NAME=PORT`` or ``LISTENER=PORT``. Raises `BadOption`."""
    found: dict[str, int] = {}
    for text in texts:
        match = _PORT.fullmatch(text)
        if match is None or not (match["name"] in NAMED_PORTS or match["name"].isdigit()):
            raise BadOption(
                f"{text!r} is not NAME=PORT, with NAME one of {', '.join(NAMED_PORTS)}, or a listener's port as in "
                "443=8443"
            )
        port = int(match["port"])
        if not 0 < port < 65536:
            raise BadOption(f"{port} is not a valid port")
        found[match["name"]] = port
    return found


def controllers(given: Mapping[str, str], external: Sequence[str]) -> dict[str, str]:
    """Those of lockgate.yaml, and those that the command line names as external: ``NAME``, and for istiod also
    ``NAME=URL``. Raises `BadOption`."""
    named = (each.partition("=") for each in external)
    found = {**given, **{name: how or EXTERNAL for name, _, how in named}}
    for name, how in found.items():
        if name not in CONTROLLERS:
            near = get_close_matches(name, CONTROLLERS, 1)
            meant = f", did you mean {near[0]}?" if near else f": they are {', '.join(CONTROLLERS)}"
            raise BadOption(f"{name!r} is no controller that can be replaced{meant}")
        if name == ISTIOD and how != EXTERNAL:
            _istiod(how)
        elif how not in (EXTERNAL, OFF):
            raise BadOption(f"{name}: {how!r} is neither {EXTERNAL} nor {OFF}")
    return found


def _istiod(how: str) -> None:
    """Raises `BadOption` if it is no URL of an istiod of this machine."""
    if how == OFF:
        raise BadOption("istiod cannot be off: the gateways' Envoys take their configuration from it")
    url = _url(how)
    if url is None or url.scheme not in ("grpc", GRPCS) or not url.port or not is_loopback(url.hostname or ""):
        raise BadOption(
            f"istiod: {how!r} is neither {EXTERNAL} nor grpcs://HOST:PORT or grpc://HOST:PORT of this machine, as in "
            "grpcs://127.0.0.1:15012; without TLS, istiod gives gateways no secrets"
        )
