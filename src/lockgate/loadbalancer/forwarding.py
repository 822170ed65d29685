"""The request as sent to a target: the headers that the load balancer sets, and the Host header.

Source: "HTTP headers and Application Load Balancers", "Request tracing for your Application Load Balancer".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from lockgate.loadbalancer.model import Listener, LoadBalancer
from lockgate.loadbalancer.request import Request

TRACE_ID: Final = "1-00000000-000000000000000000000000"
MOST_TRACED: Final = 7168  # bytes of headers; above this, the client's trace header is replaced
MOST_FORWARDED: Final = 30  # addresses in X-Forwarded-For
DEFAULT_PORTS: Final = (80, 443)  # on these ports, the Host header sent to the target has no port


def towards_target(balancer: LoadBalancer, listener: Listener, request: Request, trace_id: str) -> Request:
    set_here = {"x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id", "x-forwarded-for"}
    headers = [(name, value) for name, value in request.headers if name.lower() not in set_here]
    if drops_invalid_headers(balancer):
        headers = [(name, value) for name, value in headers if re.fullmatch(r"[-A-Za-z0-9]+", name)]
    if (forwarded := _forwarded_for(balancer, request)) is not None:
        headers.append(("X-Forwarded-For", forwarded))
    headers.append(("X-Forwarded-Proto", listener.protocol.lower()))
    headers.append(("X-Forwarded-Port", str(listener.port)))
    old = None if _bytes(request) > MOST_TRACED else request.first("x-amzn-trace-id")
    headers.append(("X-Amzn-Trace-Id", traced(old, trace_id)))
    return replace(request, host=_host(balancer, listener, request), headers=tuple(headers))


def _bytes(request: Request) -> int:
    """The size of all headers, with method, target and host."""
    return sum(len(name) + len(value) for name, value in request.headers) + len(request.target) + len(request.host) + 40


def forwarded_for(balancer: LoadBalancer) -> str:
    """The X-Forwarded-For mode: ``append``, ``preserve`` or ``remove``."""
    return balancer.attributes.get("routing.http.xff_header_processing.mode", "append")


def desync_mode(balancer: LoadBalancer) -> str:
    """``monitor``, ``defensive`` or ``strictest``."""
    return balancer.attributes.get("routing.http.desync_mitigation_mode", "defensive")


def drops_invalid_headers(balancer: LoadBalancer) -> bool:
    return balancer.attributes.get("routing.http.drop_invalid_header_fields.enabled") == "true"


def received(balancer: LoadBalancer, listener: Listener, request: Request) -> Request:
    """The request that transforms see. On ports 80 and 443 its host has no port, unless hosts are preserved."""
    if keeps_host(balancer) or listener.port not in DEFAULT_PORTS:
        return request
    return replace(request, host=request.host_name)


def keeps_host(balancer: LoadBalancer) -> bool:
    return balancer.attributes.get("routing.http.preserve_host_header.enabled") == "true"


def _host(balancer: LoadBalancer, listener: Listener, request: Request) -> str:
    """On ports other than 80 and 443 the host always has a port, unless hosts are preserved."""
    if keeps_host(balancer) or listener.port in DEFAULT_PORTS or request.host != request.host_name:
        return request.host
    return f"{request.host}:{listener.port}"


def traced(old: str | None, trace_id: str) -> str:
    """The trace header: a new root if the client sent none, else the client's fields behind a new Self."""
    kept = [field for field in (old or "").split(";") if field and not field.lstrip().startswith("Self=")]
    if any("Root=" in field for field in kept):
        return ";".join([f"Self={trace_id}", *kept])
    return ";".join([f"Root={trace_id}", *kept])


def _forwarded_for(balancer: LoadBalancer, request: Request) -> str | None:
    came = ",".join(request.all("x-forwarded-for")) or None
    match forwarded_for(balancer):
        case "preserve":
            return came
        case "remove":
            return None
        case _:
            peer = request.source
            if balancer.attributes.get("routing.http.xff_client_port.enabled") == "true":
                peer = f"[{peer}]:{request.source_port}" if ":" in peer else f"{peer}:{request.source_port}"
            return f"{came}, {peer}" if came else peer
