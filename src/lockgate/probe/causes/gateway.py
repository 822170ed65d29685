"""Causes of answers that Istio's gateway makes itself, by Envoy's body, status, response flags and details.

Source: Envoy's documentation of the access log (response flags) and its local replies.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.probe.causes.load_balancer import same_place
from lockgate.probe.causes.model import Cause, with_prediction
from lockgate.probe.evidence import Evidence
from lockgate.probe.observed import Exchange, Observation


def diagnose(seen: Observation, known: Evidence) -> Iterator[Cause]:
    answer = seen.answer
    if answer is None or answer.status is None or answer.speaker != "gateway":
        return
    cause = _cause(seen, known, answer, answer.status)
    if cause is not None:
        yield with_prediction(cause, known, answer.status)


def _cause(seen: Observation, known: Evidence, answer: Exchange, status: int) -> Cause | None:
    text = answer.text.strip()
    log = known.gateway_log
    flags = log.flags if log else ""
    because = [f"{status} with server: istio-envoy" + (f", {text[:160]!r}" if text else ", empty")]
    if log is not None and log.flags:
        because.append(
            f"gateway's log: {flags} {log.details}" + (f" {log.transport_failure}" if log.transport_failure else "")
        )
    found = _of(seen, known, answer, status, text, flags)
    if found is None:
        return None
    name, owner, says, fix = found
    return Cause(name, owner, says, fix, confirmed=bool(flags), because=tuple(because))  # type: ignore[arg-type]


def _of(
    seen: Observation, known: Evidence, answer: Exchange, status: int, text: str, flags: str
) -> tuple[str, str, str, str] | None:
    """Name, owner, what, fix."""
    host, path = seen.asked.host, seen.asked.target
    cluster = known.gateway_log.cluster if known.gateway_log else ""
    to = f" to {cluster.split('|')[-1]}" if "|" in cluster else ""
    if 300 <= status < 400:
        if not same_place(seen, answer.header("location")):
            return None
        return (
            "redirect-loop-gateway",
            "gateway",
            "the gateway redirects the URL to itself, for ever: it takes the request for plain HTTP",
            "Remove `httpsRedirect` from the server that the load balancer sends requests to, or set "
            "`backend-protocol: HTTPS` and lead the Ingress to the HTTPS port.",
        )
    if status == 404:
        virtual_host = known.hop("virtual host")
        none = virtual_host is None or virtual_host["verdict"] == "answers"
        if known.predicted is not None and none:
            return (
                "no-virtual-host",
                "gateway",
                f"no VirtualService that is bound to this server of the gateway has the host {host}",
                "Add the host to `hosts` of a VirtualService that names the Gateway, and to the server's `hosts`.",
            )
        return (
            "no-route",
            "gateway",
            f"no route of {host} matches {path}",
            "Add a route that matches, or a last one without `match`.",
        )
    if status == 403 and text.startswith("RBAC: access denied"):
        return "denied", "gateway", "an AuthorizationPolicy denies the request", "Allow it in a rule."
    if status == 401 and text.startswith(("Jwt", "JWT")):
        return "jwt", "gateway", f"a RequestAuthentication refuses the token: {text}", "Send a valid token, or none."
    if "UAEX" in flags or (status == 403 and known.hop("policy") is not None and not text):
        return (
            "ext-authz",
            "gateway",
            "the external authorization service refuses the request",
            "See the service's log.",
        )
    if status == 429:
        return "rate-limit", "gateway", "a rate limit of the gateway is used up", "Wait, or raise the limit."
    if status == 426:
        return "http-1.0", "client", "the gateway does not take HTTP/1.0", "Use HTTP/1.1."
    if status in (400, 413, 431, 408):
        return (
            "gateway-limits",
            "gateway",
            f"the gateway refuses the request: {text or status}",
            "See its log's details.",
        )
    if text.startswith("fault filter abort") or "FI" in flags:
        return "fault", "gateway", "the VirtualService's `fault.abort` answers", "Remove the fault."
    if "overload" in text or "OM" in flags:
        return "overload", "gateway", "the gateway is overloaded", "Give it more memory or replicas."
    if "UO" in flags or answer.header("x-envoy-overloaded"):
        return (
            "circuit-breaker",
            "gateway",
            f"the connection pool{to} is full",
            "Raise `trafficPolicy.connectionPool` in the DestinationRule, or scale the backend.",
        )
    if status == 504 or "UT" in flags:
        return (
            "route-timeout",
            "gateway",
            f"no answer comes{to} within the VirtualService's `timeout`",
            "Raise the route's `timeout`, or make the backend faster.",
        )
    if text.startswith("no healthy upstream") or "UH" in flags:
        return (
            "no-endpoints",
            "backend",
            f"the destination{to} has no ready endpoint",
            "Check the Service's selector and its Pods' readiness; outlier detection may have ejected all.",
        )
    failure = known.gateway_log.transport_failure if known.gateway_log else ""
    if "TLS_error" in text or failure.startswith("TLS_error"):
        return (
            "backend-tls",
            "gateway",
            f"TLS from the gateway{to} fails",
            "Compare `trafficPolicy.tls` of the DestinationRule with what the backend speaks.",
        )
    if "connection failure" in text or "UF" in flags:
        return (
            "backend-refuses",
            "backend",
            f"the connection from the gateway{to} is refused",
            "Compare the Service's `targetPort` with the port that the container listens on.",
        )
    if "connection timeout" in text:
        return "backend-times-out", "network", f"the connection from the gateway{to} times out", "Look at the network."
    if "reset reason" in text or "UC" in flags or "UR" in flags:
        return (
            "backend-closes",
            "backend",
            f"the backend{to} closes the connection before it answers",
            "Make the backend's keep-alive longer than the gateway's (1 h), or look for a crash in its log.",
        )
    if status == 503 and not text:
        return (
            "no-cluster",
            "gateway",
            "the route's destination does not exist: an unknown host, port or subset",
            "Check `destination.host`, its port, and the DestinationRule's subsets.",
        )
    return "gateway-answers", "gateway", f"the gateway answers {status}", "See its access log."
