"""Causes behind the gateway: the application's own answers, and answers of an unexpected backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median

from lockgate.probe.causes.model import Cause
from lockgate.probe.evidence import Evidence
from lockgate.probe.observed import Exchange, Observation

_SLOW = 1.0  # seconds to the first byte


def diagnose(seen: Observation, known: Evidence) -> Iterator[Cause]:
    answer = seen.answer
    if answer is None or answer.status is None:
        return
    yield from _upgrade(seen, known, answer)
    if answer.speaker != "backend":
        return
    policy = known.hop("policy")
    flags = known.gateway_log.flags if known.gateway_log else ""
    if "UAEX" in flags or (answer.status in (401, 403) and policy is not None and policy.get("action") == "CUSTOM"):
        yield Cause(
            "ext-authz",
            "gateway",
            f"the external authorization service answers {answer.status}",
            "Look at its log. An AuthorizationPolicy of action CUSTOM names it.",
            confirmed="UAEX" in flags,
            because=((policy or {}).get("title") or "an AuthorizationPolicy of action CUSTOM",),
            at=(policy or {}).get("at") or "",
        )
    elif answer.status >= 400:
        took = answer.header("x-envoy-upstream-service-time")
        yield Cause(
            "application",
            "backend",
            f"the application itself answers {answer.status}",
            f"Look in its log for the trace id {seen.asked.trace_id}.",
            confirmed=bool(took),
            because=(f"x-envoy-upstream-service-time: {took}" if took else f"Server: {answer.header('server')}",),
        )
    if answer.incomplete:
        yield Cause(
            "body-cut",
            "backend",
            f"the body ends early: {answer.incomplete}",
            "The backend sends less than its Content-Length, or a hop's timeout ends the answer.",
            because=(f"{len(answer.body)} bytes arrived",),
        )
    yield from _other_backend(known, answer)
    yield from _grpc(answer)


def _upgrade(seen: Observation, known: Evidence, answer: Exchange) -> Iterator[Cause]:
    if seen.asked.kind != "websocket" or answer.status == 101 or (answer.status or 0) >= 400:
        return
    group = known.group
    version = group.protocol_version if group else ""
    yield Cause(
        "no-upgrade",
        "load balancer" if version == "HTTP2" else "backend",
        f"the WebSocket upgrade is answered {answer.status}, not 101"
        + (f": the target group is {version}" if version not in ("", "HTTP1") else ""),
        "Use a target group of version HTTP1, and a backend that upgrades.",
        confirmed=version == "HTTP2",
        because=(f"answered by the {answer.speaker}",),
    )


def _other_backend(known: Evidence, answer: Exchange) -> Iterator[Cause]:
    """The built-in echo names itself, so another one than predicted is seen."""
    ending = known.ending
    if ending is None or not ending["backend"]:
        return
    try:
        service = json.loads(answer.body)["service"]
    except (ValueError, KeyError, TypeError):
        return
    destination = known.hop("destination") or {}
    expected = {name.partition(" ")[0] for name in destination.get("shares") or {ending["backend"]: 1}}
    if service not in expected:
        yield Cause(
            "other-backend",
            "gateway",
            f"{service} answers, and trace expects {' or '.join(sorted(expected))}",
            "Look for another VirtualService with the same host (the older one wins), and for rules before this one.",
            confirmed=True,
            because=(f"the answer names {service}",),
        )


def _grpc(answer: Exchange) -> Iterator[Cause]:
    if answer.grpc_status:
        yield Cause(
            "grpc-status",
            "backend",
            f"gRPC status {answer.grpc_status}: {answer.header('grpc-message') or 'without a message'}",
            "12 is an unknown method or a proxy that cannot carry gRPC, 14 an unavailable server.",
            because=(f"grpc-status: {answer.grpc_status}",),
        )


def spread(seen: Observation, known: Evidence) -> Iterator[Cause]:
    """Some addresses or targets behave otherwise than the rest, or the answer is slow."""
    failed = [each for each in seen.exchanges if each.status is None or each.status >= 500]
    if failed and len(failed) < len(seen.exchanges):
        yield Cause(
            "one-of-many",
            "load balancer",
            f"{len(failed)} of {len(seen.exchanges)} addresses fail: {', '.join(each.address for each in failed)}",
            "Look at that zone's targets and subnet.",
            because=tuple(f"{each.address}: {each.status or each.error}" for each in seen.exchanges),
        )
    answered = [each for each in seen.exchanges if each.status is not None and each.status < 400]
    if answered and (slow := median(each.first_byte for each in answered)) > _SLOW:
        backend = answered[0].header("x-envoy-upstream-service-time")
        inside = int(backend) / 1000 if backend.isdecimal() else None
        by_backend = inside is not None and inside > 0.7 * slow
        yield Cause(
            "slow",
            "backend" if by_backend or inside is None else "load balancer",
            f"the first byte takes {slow:.1f} s"
            + (f", of which the backend takes {inside:.1f} s" if inside is not None else ""),
            "Look at the backend."
            if by_backend
            else "The gap between the two times is in the hops before the backend.",
            confirmed=inside is not None,
            because=(f"x-envoy-upstream-service-time: {backend} ms",) if backend else (),
            warning=True,
        )
