"""Causes of answers that the load balancer makes itself: redirects, refusals, and 5xx for its targets.

Source: "Troubleshoot your Application Load Balancers", AWS; the statuses are those of `loadbalancer.pages`.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from lockgate.probe.causes.model import Cause, with_prediction
from lockgate.probe.evidence import Evidence, Group, Json
from lockgate.probe.observed import Exchange, Observation

_MOST_FORWARDED = 30  # addresses that an ALB takes in X-Forwarded-For


def diagnose(seen: Observation, known: Evidence) -> Iterator[Cause]:
    answer = seen.answer
    if answer is None or answer.status is None or answer.speaker != "load balancer":
        return
    for cause in _of_status(seen, known, answer, answer.status):
        yield with_prediction(cause, known, answer.status)


def _of_status(seen: Observation, known: Evidence, answer: Exchange, status: int) -> Iterator[Cause]:
    because = (f"{status} with Server: {answer.header('server') or '(none)'}, {len(answer.body)} bytes",)
    if status in (301, 302, 303, 307, 308):
        yield from _redirect(seen, answer, because)
    elif (placeholder := answer.text.strip()) in _PLACEHOLDERS:
        yield Cause(
            "backend-does-not-exist",
            "load balancer",
            f"the controller put a fixed response in place of the rule's backend: {placeholder}",
            _PLACEHOLDERS[placeholder],
            confirmed=True,
            because=because,
        )
    elif _fixed(known):
        yield from _fixed_response(known, answer, status, because)
    elif status >= 500:
        yield from _server_error(seen, known, answer, status, because)
    else:
        yield from _client_error(seen, known, answer, status, because)


_PLACEHOLDERS = {
    "Backend service does not exist": "Create the Service that the Ingress names, or correct its name and port.",
    "Backend action does not exist": "Add the annotation `alb.ingress.kubernetes.io/actions.NAME` that the Ingress "
    "names, or correct the name.",
}


def _redirect(seen: Observation, answer: Exchange, because: tuple[str, ...]) -> Iterator[Cause]:
    location = answer.header("location")
    if same_place(seen, location):
        yield Cause(
            "redirect-loop-load-balancer",
            "load balancer",
            "the load balancer redirects the URL to itself, for ever",
            "Redirect on the HTTP listener only (`ssl-redirect`), or give the redirect another path.",
            confirmed=True,
            because=(*because, f"Location: {location}"),
        )


def same_place(seen: Observation, location: str) -> bool:
    """Whether a redirect leads to the URL that was asked for; a missing port is the scheme's."""
    target = urlsplit(location)
    if not target.scheme:
        return location == seen.asked.target
    port = target.port or (443 if target.scheme == "https" else 80)
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    return (target.scheme, target.hostname, port, path) == (
        seen.asked.scheme,
        seen.asked.host,
        seen.asked.port,
        seen.asked.target,
    )


# --- fixed responses, and what refuses a request before a target ---------------------------------------------------


def _fixed(known: Evidence) -> bool:
    rule = known.hop("rule")
    return rule is not None and rule.get("action") == "FixedResponse" and not _blocked(known)


def _blocked(known: Evidence) -> Json | None:
    hop = known.hop("waf")
    return hop if hop is not None and hop["verdict"] == "answers" else None


def _fixed_response(known: Evidence, answer: Exchange, status: int, because: tuple[str, ...]) -> Iterator[Cause]:
    rule = known.hop("rule")
    default = rule is None or rule.get("priority") in (0, None) or rule["title"] == "default rule"
    if status == 404 and default and not answer.body:
        yield _no_rule(because, confirmed=True)
        return
    if status == 503 and not default and not answer.body:
        yield Cause("fixed-response", "load balancer", "a rule answers 503 by itself", because=because, confirmed=True)
        return
    yield Cause(
        "fixed-response",
        "load balancer",
        f"{rule['title'] if rule else 'a rule'} has a fixed response, {status}",
        "Change the action of the rule (`alb.ingress.kubernetes.io/actions.…`).",
        confirmed=True,
        because=because,
    )


def _no_rule(because: tuple[str, ...], *, confirmed: bool = False) -> Cause:
    return Cause(
        "no-rule",
        "load balancer",
        "no rule of the listener matches the host and path, and the default action answers 404",
        "Add a rule for this host and path to the Ingress, or a `defaultBackend`.",
        confirmed=confirmed,
        because=because,
    )


def _client_error(
    seen: Observation, known: Evidence, answer: Exchange, status: int, because: tuple[str, ...]
) -> Iterator[Cause]:
    again = seen.again
    if status == 400 and seen.asked.scheme == "http" and "plain HTTP request" in answer.text:
        yield Cause("https-port", "client", "the port speaks HTTPS", "Use https://.", confirmed=True, because=because)
    elif status == 400 and again is not None and again.status is not None and again.status < 400:
        yield Cause(
            "bad-request-http2",
            "load balancer",
            "the load balancer refuses the request by HTTP/2 and takes it by HTTP/1.1, where it checks headers less",
            "Header names must be lower case and without `_`; see the log's classification.",
            confirmed=True,
            because=(*because, f"HTTP/1.1: {again.status}"),
        )
    elif status == 400:
        yield Cause(
            "bad-request",
            "load balancer",
            "the load balancer finds the request malformed, too large, or ambiguous (desync mitigation)",
            "Look at `classification` and `classification_reason` in its access log; a request line or a header may "
            "have 16 K, all headers 64 K.",
            because=(*because, *_logged(known, "classification", "classification_reason")),
        )
    elif status == 401:
        yield Cause(
            "login",
            "load balancer",
            "the rule authenticates requests, and this one has no valid session or token",
            "Log in with a browser, or send a token of the rule's issuer.",
            confirmed=known.hop("authentication") is not None,
            because=because,
        )
    elif _blocked(known) or (status == 403 and "<h1>403 Forbidden</h1>" in answer.text):
        yield _web_acl(known, because)
    elif status == 404 and not answer.body:
        yield _no_rule(because)
    elif status == 405:
        yield Cause("method", "load balancer", f"the load balancer refuses {seen.asked.method}", because=because)
    elif status in (413, 414):
        yield Cause(
            "too-large", "load balancer", "the URL or the body is too large for the load balancer", because=because
        )
    elif status == 463:
        count = sum(value.count(",") + 1 for name, value in seen.asked.headers if name.lower() == "x-forwarded-for")
        yield Cause(
            "forwarded-for",
            "client",
            f"X-Forwarded-For has {count or 'too many'} addresses; a load balancer takes {_MOST_FORWARDED}",
            "Remove addresses, or set routing.http.xff_header_processing.mode=remove.",
            confirmed=count > _MOST_FORWARDED,
            because=because,
        )
    elif status == 464:
        group = known.group
        yield Cause(
            "protocol-version",
            "load balancer",
            "the target group's protocol version does not take this request"
            + (f": it is {group.protocol_version}, and the request is HTTP/{answer.protocol}" if group else ""),
            "Set `alb.ingress.kubernetes.io/backend-protocol-version` to what clients speak (HTTP1, HTTP2, GRPC).",
            confirmed=group is not None,
            because=because,
        )
    else:
        yield Cause("load-balancer-refuses", "load balancer", f"the load balancer answers {status}", because=because)


def _web_acl(known: Evidence, because: tuple[str, ...]) -> Cause:
    hop = _blocked(known)
    return Cause(
        "web-acl",
        "web ACL",
        hop["title"] if hop else "a web ACL of AWS WAF blocks the request",
        "Change the rule, or exclude the request from it. GetSampledRequests names the rule.",
        confirmed=hop is not None,
        because=(*because, *_logged(known, "actions_executed")),
    )


def _logged(known: Evidence, *names: str) -> tuple[str, ...]:
    log = known.balancer_log or {}
    return tuple(f"access log: {name} {log[name]}" for name in names if log.get(name) not in (None, "", "-"))


# --- 5xx -----------------------------------------------------------------------------------------------------------


def _server_error(
    seen: Observation, known: Evidence, answer: Exchange, status: int, because: tuple[str, ...]
) -> Iterator[Cause]:
    group = known.group
    match status:
        case 502:
            yield _bad_gateway(seen, known, group, answer, because)
        case 503:
            yield _unavailable(known, group, because)
        case 504:
            yield _gateway_timeout(known, group, answer, because)
        case 561 | 562:
            yield Cause(
                "identity-provider",
                "load balancer",
                "the identity provider's answer is an error" if status == 561 else "the keys of JWTs cannot be fetched",
                "Look at `error_reason` in the load balancer's log: AuthToken…, AuthUserinfo… name the endpoint.",
                because=(*because, *_logged(known, "error_reason")),
                confirmed=bool(_logged(known, "error_reason")),
            )
        case 500 if known.hop("waf") is not None:
            yield Cause(
                "web-acl-unreachable",
                "web ACL",
                "AWS WAF did not answer, and the load balancer fails closed",
                "Set waf.fail_open.enabled=true where the request should pass then.",
                because=because,
            )
        case 501:
            yield Cause(
                "transfer-encoding", "client", "the request's Transfer-Encoding is not supported", because=because
            )
        case 505:
            yield Cause("http-version", "client", "the request's HTTP version is not supported", because=because)
        case _:
            yield Cause(
                "load-balancer-error",
                "load balancer",
                f"the load balancer answers {status}: a transform, the web ACL or an identity provider failed",
                "Look at `error_reason`, `transform_status` and `actions_executed` in its log.",
                because=(*because, *_logged(known, "error_reason", "transform_status")),
            )


def _bad_gateway(
    seen: Observation, known: Evidence, group: Group | None, answer: Exchange, because: tuple[str, ...]
) -> Cause:
    because = (*because, *_targets(group))
    closed = [each for each in seen.direct.values() if each.error or each.tls_error]
    shown = tuple(
        f"{name}: {each.error or (f'TLS: {each.tls_error}' if each.tls_error else 'connects')}"
        for name, each in seen.direct.items()
    )
    secure = group is not None and group.protocol in ("HTTPS", "TLS")
    ending = known.ending or {}
    said = (ending.get("cause") or "") if ending.get("status") == 502 else ""
    if "no server name" in said or "(SNI)" in said:
        name = "gateway-needs-server-name"
    elif "Secret" in (ending.get("fix") or "") and said:
        name = "gateway-secret-missing"
    elif "does not listen" in said:
        name = "gateway-does-not-listen"
    elif "speaks TLS" in said or "speaks plain HTTP" in said:
        name = "target-protocol"
    elif "closes the connection" in said:
        name = "gateway-closes"
    else:
        name = ""
    if name:
        return Cause(name, "gateway", said.removeprefix("The load balancer answers 502. "), because=(*because, *shown))
    if secure and any(each.tls_error for each in seen.direct.values()):
        return Cause(
            "target-tls",
            "gateway",
            "TLS with the target fails: " + next(each.tls_error for each in seen.direct.values() if each.tls_error),
            "The load balancer sends no server name: the gateway needs a server for `*`, and its Secret.",
            confirmed=True,
            because=(*because, *shown),
        )
    if closed and all(each.error for each in closed):
        return _refusing(group, (*because, *shown), confirmed=True)
    if group is not None and any("refused" in each.description.lower() for each in group.targets):
        return _refusing(group, because, confirmed=True)
    if seen.direct and not closed:
        return _odd_answer((*because, *shown))
    if group is not None and any(each.state == "healthy" for each in group.targets) and not secure:
        return _odd_answer((*because, *shown))
    if answer.seconds < 1.0 and not secure:
        return _refusing(group, because, confirmed=False)
    return Cause(
        "target-closes",
        "gateway",
        "the target refuses or closes the connection" + (", or TLS with it fails" if secure else ""),
        "Look at the gateway's log for NR filter_chain_not_found, and at TargetTLSNegotiationErrorCount and "
        "TargetConnectionErrorCount in CloudWatch.",
        because=because,
    )


def _odd_answer(because: tuple[str, ...]) -> Cause:
    return Cause(
        "target-answer",
        "backend",
        "the target connects, and its answer is malformed, too large (headers over 32 K), or cut",
        "Send the request to the gateway itself, and look at the headers of its answer. The target's keep-alive "
        "timeout must be longer than the load balancer's idle timeout.",
        because=because,
    )


def _refusing(group: Group | None, because: tuple[str, ...], *, confirmed: bool) -> Cause:
    return Cause(
        "target-refuses",
        "cluster",
        "the target refuses the connection" + (f": nothing listens on port {group.port}" if group else ""),
        "Check the Service's targetPort and node port, and that its Pods are ready.",
        confirmed=confirmed,
        because=because,
    )


def _unavailable(known: Evidence, group: Group | None, because: tuple[str, ...]) -> Cause:
    ending = known.ending or {}
    if "weight" in (ending.get("fix") or ""):
        says, fix = "every target group of the rule has the weight 0", "Give one of them a weight above 0."
        return Cause("weights-zero", "load balancer", says, fix, because=because)
    named = f"the target group {group.name}" if group else "the target group"
    return Cause(
        "no-targets",
        "cluster",
        f"{named} has no registered target",
        "Check that the Service has node ports and nodes (instance) or ready Pods (ip), and the events of its "
        "TargetGroupBinding.",
        confirmed=group is not None and not [each for each in group.targets if each.state != "draining"],
        because=(*because, *_targets(group)),
    )


def _gateway_timeout(known: Evidence, group: Group | None, answer: Exchange, because: tuple[str, ...]) -> Cause:
    took = f"it came after {answer.first_byte:.0f} s"
    idle = float((known.entered.attributes if known.entered else {}).get("idle_timeout.timeout_seconds", "60"))
    if answer.first_byte < min(15.0, idle - 2):
        return Cause(
            "target-times-out",
            "network",
            "the target does not take the connection in 10 s",
            "Allow the node port from the load balancer's security group, and look at network ACLs and the node.",
            confirmed=group is not None and any(each.reason == "Target.Timeout" for each in group.targets),
            because=(*because, took, *_targets(group)),
        )
    return Cause(
        "slow-backend",
        "backend",
        f"no answer comes within the load balancer's idle timeout of {idle:g} s",
        "Make the backend faster, or raise idle_timeout.timeout_seconds in `load-balancer-attributes`.",
        confirmed=abs(answer.first_byte - idle) < 3,
        because=(*because, took, *_targets(group)),
    )


def _targets(group: Group | None) -> tuple[str, ...]:
    if group is None:
        return ()
    if not group.targets:
        return (f"DescribeTargetHealth: {group.name} has no targets",)
    return tuple(
        f"DescribeTargetHealth: {each.target} {each.state}"
        + (f", {each.description or each.reason}" if each.reason else "")
        for each in group.targets[:4]
    )


# --- health --------------------------------------------------------------------------------------------------------


def health(seen: Observation, known: Evidence) -> Iterator[Cause]:
    """What DescribeTargetHealth complains of, whether or not the request was answered."""
    group = known.group
    if group is None or not group.targets:
        return
    bad = next((each for each in group.targets if each.state in ("unhealthy", "unused", "initial")), None)
    if bad is None:
        return
    check = f"{group.check.get('Protocol', '')} {group.check.get('Port', '')}{group.check.get('Path') or ''}".strip()
    name, fix = {
        "Target.ResponseCodeMismatch": (
            "health-check-code",
            "Point `healthcheck-port` and `healthcheck-path` to the gateway's status port, 15021 /healthz/ready.",
        ),
        "Target.Timeout": ("health-check-timeout", "Allow the health check's node port in the nodes' security group."),
        "Target.FailedHealthChecks": (
            "health-check-fails",
            "Check the health check's protocol and port: 15021 speaks plain HTTP.",
        ),
        "Target.NotInUse": ("target-unused", "A rule of a listener must forward to the target group."),
    }.get(bad.reason, ("health-check-waits", "Wait for the health checks to pass."))
    answered = any(each.status is not None and each.status < 500 for each in seen.exchanges)
    open_ = group.all_unhealthy and answered
    yield Cause(
        "fail-open" if open_ else name,
        "load balancer",
        f"the health check {check} of {group.name} fails: {bad.description or bad.reason}"
        + ("; no target is healthy, so requests go to all of them" if open_ else ""),
        fix,
        confirmed=True,
        because=_targets(group),
        warning=answered,
    )
