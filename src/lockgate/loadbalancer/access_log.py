"""A request's line in a load balancer's access log, in AWS's format.

Source: "Access logs for your Application Load Balancer", "Syntax". As in AWS, a field without a value is ``-``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from lockgate.loadbalancer.error_reasons import waf_reason
from lockgate.loadbalancer.model import Action, FixedResponse, Forward, Listener, LoadBalancer, Redirect
from lockgate.loadbalancer.network import AnyLoadBalancer


@dataclass(frozen=True, slots=True)
class Entry:
    """A completed request. Durations are milliseconds from its start, None if the request did not get that far.
    `rule` is a priority: 0 is the default rule, -1 means that no rule was evaluated.
    """

    start: datetime
    client: str
    method: str
    host: str
    path: str
    protocol: str  # HTTP/1.0, HTTP/1.1, HTTP/2
    status: int
    listener_port: int
    rule: int = -1
    target: str = ""
    target_group: str = ""
    answered_by_target: bool = False
    sent_to_target_ms: int | None = None
    first_answer_ms: int | None = None
    duration_ms: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    user_agent: str = ""
    cipher: str = ""
    tls: str = ""
    trace_id: str = ""
    server_name: str = ""
    certificate: str = ""
    location: str = ""
    content_type: str = ""
    upgrade: str = ""
    connection: int = 0
    client_left: bool = False
    waf: str = ""  # WAF's verdict: allow or block; - if WAF did not answer
    stopped_by_waf: bool = False
    error_reason: str = ""
    stopped_by_authentication: bool = False
    classification: str = ""
    classification_reason: str = ""
    rewritten_host: str = ""
    rewritten_url: str = ""
    transform_status: str = ""


def line(entry: Entry, balancer: LoadBalancer, node: str) -> str:
    """One line without its line break. `node` is the load balancer's address."""
    listener = next((each for each in balancer.listeners if each.port == entry.listener_port), None)
    ended = entry.start + timedelta(milliseconds=entry.duration_ms)
    sent, first, whole = _processing(entry)
    status = 460 if entry.client_left and not entry.status else entry.status
    group = balancer.target_groups.get(entry.target_group)
    target = "" if group is not None and group.target_type == "lambda" else entry.target  # functions have no address
    target_status = str(entry.status) if entry.answered_by_target and not entry.error_reason else "-"
    secure = listener is not None and listener.protocol == "HTTPS"
    url = f"{'https' if secure else 'http'}://{_host_and_port(entry)}{entry.path}"
    fields = [
        _type(entry, secure),
        _time(ended),
        balancer.arn.partition(":loadbalancer/")[2] or balancer.name,
        entry.client,
        target or "-",
        *(sent, first, whole),
        f"{status:03d}",  # HTTP/2 logs 000 if a stream or connection ends without a response
        target_status,
        str(entry.received_bytes),
        str(entry.sent_bytes),
        quoted(f"{entry.method or '-'} {url} {entry.protocol.replace('HTTP/2', 'HTTP/2.0')}"),
        quoted(entry.user_agent),
        entry.cipher or "-",
        entry.tls or "-",
        entry.target_group or "-",
        quoted(entry.trace_id),
        quoted(entry.server_name),
        quoted(entry.certificate),
        str(entry.rule),
        _time(entry.start),
        quoted(_actions(entry, listener)),
        quoted(entry.location),
        quoted(entry.error_reason),
        quoted(target),
        quoted(target_status if target else ""),
        quoted(entry.classification),
        quoted(entry.classification_reason),
        f"TID_{entry.connection:016x}",
        quoted(entry.rewritten_host),
        quoted(entry.rewritten_url),
        quoted(entry.transform_status),
        node,
    ]
    return " ".join(fields)


def object_key(balancer: AnyLoadBalancer, day: datetime, address: str, log: str = "access_logs") -> str:
    """The S3 object key of the log, with the prefix and without the bucket. One object holds a day's lines. `log` is
    the prefix of the log's attributes: ``access_logs``, ``connection_logs`` or ``health_check_logs``."""
    _, _, _, region, account, _ = balancer.arn.split(":", 5)
    prefix = balancer.attributes.get(f"{log}.s3.prefix", "")
    name = (balancer.arn.partition(":loadbalancer/")[2] or balancer.name).replace("/", ".")
    kind = {"connection_logs": "conn_log.", "health_check_logs": "health_check_log_"}.get(log, "")
    stem = f"{kind}{account}_elasticloadbalancing_{region}_{name}_{day:%Y%m%d}T0000Z_{address}_local.log"
    folder = f"AWSLogs/{account}/elasticloadbalancing/{region}/{day:%Y/%m/%d}"
    return "/".join(part for part in (prefix, folder, stem) if part)


def _processing(entry: Entry) -> tuple[str, str, str]:
    """Seconds until the target had the request, until it responded, and until the client had the response. A step that
    did not happen is -1.
    """
    if not entry.target or entry.sent_to_target_ms is None:
        return "-1", "-1", "-1"
    sent = _seconds(entry.sent_to_target_ms)
    if entry.first_answer_ms is None or not entry.answered_by_target:
        return sent, "-1", "-1"
    waited = entry.first_answer_ms - entry.sent_to_target_ms
    return sent, _seconds(waited), _seconds(entry.duration_ms - entry.first_answer_ms)


def _seconds(milliseconds: int) -> str:
    return f"{max(milliseconds, 0) / 1000:.3f}"


def _type(entry: Entry, secure: bool) -> str:
    if entry.upgrade.lower() == "websocket":
        return "wss" if secure else "ws"
    if entry.protocol == "HTTP/2":
        return "grpcs" if entry.content_type.startswith("application/grpc") else "h2"
    return "https" if secure else "http"


def _host_and_port(entry: Entry) -> str:
    name, colon, port = entry.host.rpartition(":")
    host = name if colon and port.isdigit() else entry.host
    return f"{host}:{entry.listener_port}"


def _actions(entry: Entry, listener: Listener | None) -> str:
    waf = _WAF.get(entry.waf, ())
    if entry.stopped_by_waf:
        return ",".join(waf)
    if entry.stopped_by_authentication:
        return ",".join([*waf, "authenticate"])
    if listener is None or entry.rule < 0:
        return ""
    rule = next((each for each in listener.rules if each.priority == entry.rule), None)
    if entry.rule and rule is None:
        return ""
    return ",".join([*waf, *(_action(each) for each in (rule.actions if rule else listener.default_actions))])


_WAF: Final = {"allow": ("waf",), "block": ("waf",), "-": ("waf-failed",)}


def _action(action: Action) -> str:
    match action:
        case Forward():
            return "forward"
        case Redirect():
            return "redirect"
        case FixedResponse():
            return "fixed-response"
        case _:
            return "authenticate"


def _time(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def quoted(text: str) -> str:
    """Writes quotes and everything but printable ASCII as ``\\xHH``, so that an entry stays on one line."""
    if text.isascii() and text.isprintable() and '"' not in text:
        return f'"{text or "-"}"'
    safe = "".join(char if " " <= char <= "~" and char != '"' else f"\\x{ord(char) & 255:02x}" for char in text)
    return f'"{safe}"'


def start_of(record: Mapping[str, str]) -> datetime:
    return datetime.fromisoformat(record["start"])


# Requests that Envoy rejects, as classes and reasons of desync mitigation. Envoy's parser has a single error for most
# malformed HTTP, so a more precise reason is not available.
_BEFORE_RULES: Final = (400, 414, 463)  # a script sends these before any rule is evaluated
_REFUSED: Final = {
    "http1.content_length_and_chunked_not_allowed": ("Ambiguous", "BothTeClPresent"),
    "http1.invalid_characters": ("Severe", "BadHeader"),
    "http1.invalid_transfer_encoding": ("Severe", "BadTransferEncoding"),
}


def entry_of(record: Mapping[str, str], groups: Mapping[str, str], certificate: str = "") -> Entry:
    """An entry from the record that Envoy logs (`xds.loadbalancer.access_log`). `groups` maps clusters to ARNs."""

    def number(name: str) -> int:
        return int(value) if (value := record.get(name, "-")).lstrip("-").isdigit() else 0

    def milliseconds(name: str) -> int | None:
        return int(value) if (value := record.get(name, "-")).isdigit() else None

    def text(name: str) -> str:
        return "" if (value := record.get(name, "")) == "-" else value

    answered = text("details") == "via_upstream"
    stopped = text("details").startswith("ext_authz_")
    waf, waf_failure = _waf(record)
    by_waf = stopped and (waf == "block" or (waf == "-" and record.get("waf_fails_open") != "true"))
    refused = _REFUSED.get(text("details"), ("", ""))
    unruled = text("details") == "lua_response" and number("status") in _BEFORE_RULES
    rule = (
        "0" if by_waf else "-" if unruled else record.get("rule", "-")
    )  # no rule was evaluated; AWS writes 0 (unverified)
    return Entry(
        start=start_of(record),
        client=text("client"),
        method=text("method"),
        host=text("host_before") or text("host"),
        path=text("url_before") or text("path"),
        protocol=text("protocol"),
        status=number("status"),
        listener_port=number("listener_port"),
        rule=int(rule) if rule.lstrip("-").isdigit() else -1,
        target=text("target"),
        target_group="" if unruled else groups.get(text("cluster"), ""),
        answered_by_target=answered,
        sent_to_target_ms=milliseconds("sent"),
        first_answer_ms=milliseconds("first"),
        duration_ms=number("duration"),
        received_bytes=number("received"),
        sent_bytes=number("sent_bytes"),
        user_agent=text("user_agent"),
        cipher=text("cipher"),
        tls=text("tls"),
        trace_id=text("trace_id"),
        server_name=text("server_name"),
        certificate=certificate,
        location=text("location") if not (answered or stopped) else "",
        content_type=text("content_type"),
        upgrade=text("upgrade"),
        connection=number("connection"),
        client_left="DC" in text("flags").split(","),
        waf=waf,
        stopped_by_waf=by_waf,
        error_reason=text("error_reason") or text("function_failure") or waf_failure,
        stopped_by_authentication=stopped and not by_waf,
        classification=text("class") or refused[0],
        classification_reason=text("class_reason") or refused[1],
        rewritten_host=text("host_made") if text("host_made") != (text("host_before") or text("host_made")) else "",
        rewritten_url=text("url_made") if text("url_made") != (text("url_before") or text("url_made")) else "",
        transform_status=_transformed(text),
    )


def _waf(record: Mapping[str, str]) -> tuple[str, str]:
    """WAF's verdict, and the error reason if there is no verdict. Both are empty if WAF was not asked."""
    said = record.get("waf", "")
    if said != "-":
        return said, ""
    for asked in ("waf", "waf_of_grpc"):
        if (spent := record.get(f"{asked}_microseconds", "-")).isdigit():
            received = record.get(f"{asked}_received", "-")
            return said, waf_reason(int(spent), int(received) if received.isdigit() else 0)
    return "", ""


def _transformed(text: Callable[[str], str]) -> str:
    if not (text("host_made") or text("url_made")):
        return ""
    return text("transform_failure") or "TransformSuccess"
