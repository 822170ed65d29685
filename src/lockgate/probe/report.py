"""A probe's result as JSON for programs, and as lines for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeAlias

from lockgate.probe.causes import Cause
from lockgate.probe.evidence import Balancer, Evidence
from lockgate.probe.observed import Connection, Exchange, NameAnswer, Observation
from lockgate.probe.probing import Result

Json: TypeAlias = dict[str, Any]
Style: TypeAlias = Callable[[str, str], str]
"""As for `trace`: text and a role to styled text."""

_NOTABLE = ("server", "location", "x-envoy-upstream-service-time", "x-amzn-trace-id", "grpc-status", "grpc-message")


def as_json(result: Result, now: datetime) -> Json:
    seen, known = result.observation, result.evidence
    return {
        "request": {
            "url": seen.asked.url,
            "method": seen.asked.method,
            "protocol": seen.asked.protocol,
            "trace_id": seen.asked.trace_id,
        },
        "dns": {
            "zone": seen.names.zone or None,
            "servers": [_name_answer(each) for each in seen.names.servers],
            "resolver": _name_answer(seen.names.resolver) if seen.names.resolver else None,
        },
        "connections": [_connection(each, now) for each in seen.connections],
        "gateway_connections": {name: _connection(each, now) for name, each in seen.direct.items()},
        "answers": [_exchange(each) for each in seen.exchanges],
        "causes": [asdict(cause) for cause in result.causes],
        "load_balancer": _balancer(known),
        "logs": {
            "load_balancer": dict(known.balancer_log) if known.balancer_log else None,
            "gateway": asdict(known.gateway_log) if known.gateway_log else None,
        },
        "predicted": dict(known.predicted) if known.predicted is not None else None,
        "first_difference": first_difference(seen, known),
        "unseen": list(known.unseen),
        "ok": not result.failed,
    }


def _balancer(known: Evidence) -> Json | None:
    if (found := known.entered) is None:
        return None
    return {
        "name": found.name,
        "dns_name": found.dns_name,
        "state": found.state,
        "scheme": found.scheme,
        "listeners": [{"protocol": each.get("Protocol"), "port": each.get("Port")} for each in found.listeners],
        "target_groups": [
            {"name": group.name, "targets": [asdict(target) for target in group.targets]} for group in found.groups
        ],
    }


def _name_answer(answer: NameAnswer) -> Json:
    return {**asdict(answer), "rcode": answer.rcode or None, "error": answer.error or None}


def _connection(connection: Connection, now: datetime) -> Json:
    tls = connection.tls
    found = tls.certificate if tls else None
    return {
        "address": connection.address,
        "port": connection.port,
        "seconds": round(connection.seconds, 6),
        "error": connection.error or connection.tls_error or None,
        "tls": {
            "version": tls.version,
            "cipher": tls.cipher,
            "alpn": tls.alpn or None,
            "verified": not tls.distrust,
            "distrust": tls.distrust or None,
            "certificate": {
                "names": list(found.names),
                "issuer": found.issuer,
                "not_after": found.not_after.isoformat(),
                "days_left": (found.not_after - now).days,
                "chain": found.chain,
            }
            if found
            else None,
        }
        if tls
        else None,
    }


def _exchange(exchange: Exchange) -> Json:
    return {
        "address": exchange.address,
        "protocol": exchange.protocol,
        "status": exchange.status,
        "by": exchange.speaker,
        "headers": [list(pair) for pair in exchange.headers],
        "first_byte": round(exchange.first_byte, 6),
        "seconds": round(exchange.seconds, 6),
        "error": exchange.error or exchange.incomplete or None,
    }


def first_difference(seen: Observation, known: Evidence) -> str | None:
    """The first thing that was observed otherwise than `trace` predicts; None if they agree or nothing is predicted."""
    ending, answer = known.ending, seen.answer
    if ending is None:
        return None
    if answer is None or answer.status is None:
        if ending["status"] is None and not ending["backend"]:
            return None
        return f"predicted {ending['status'] or ending['backend']}, observed no answer"
    if ending["status"] is None and ending["backend"] is None:
        return f"predicted that no answer comes, observed {answer.status}"
    if ending["status"] is not None and ending["status"] != answer.status:
        return (
            f"predicted {ending['status']} from the {ending['by']}, observed {answer.status} from the {answer.speaker}"
        )
    if ending["backend"] and answer.speaker in ("load balancer", "gateway"):
        return f"predicted an answer of {ending['backend']}, observed {answer.status} from the {answer.speaker}"
    if (ending["location"] or "") != answer.header("location") and ending["location"]:
        return f"predicted Location {ending['location']}, observed {answer.header('location') or 'none'}"
    return None


# --- lines ---------------------------------------------------------------------------------------------------------


def lines(result: Result, style: Style, now: datetime, *, verbose: bool = False) -> Iterator[str]:
    seen, known = result.observation, result.evidence
    asked = seen.asked
    yield style(f"{asked.method} {asked.url}", "bold") + style(f"   {asked.trace_id}", "dim")
    if known.chosen and known.entered is not None:
        yield from _chosen(known.entered, style)
    yield from _names(seen, style)
    for each in seen.connections:
        yield _connected(each, style, now)
    for name, behind in seen.direct.items():
        yield _connected(behind, style, now, f"gateway {name}")
    for exchange in seen.exchanges:
        yield from _answered(exchange, style, verbose)
    yield from _logs(known, style)
    yield from _prediction(seen, known, style)
    for cause in result.causes:
        yield from _cause(cause, style)
    if not result.causes:
        yield f" {style('→', 'pass')} nothing is wrong"
    for part in known.unseen:
        yield style(f"   not seen: {part}", "dim")


def _line(ok: bool | None, what: str, text: str, style: Style) -> str:
    mark, role = {True: ("✓", "pass"), False: ("✗", "fail"), None: ("!", "open")}[ok]
    return f" {style(mark, role)} {what:<13} {text}"


def _names(seen: Observation, style: Style) -> Iterator[str]:
    names = seen.names
    if not names.servers and names.resolver is None:
        return
    for each in (*names.servers, *((names.resolver,) if names.resolver else ())):
        found = ", ".join((*each.aliases, *each.addresses))
        text = found or (f"{each.rcode}, no address" if each.rcode == "NOERROR" else each.rcode) or each.error
        yield _line(bool(found), "dns", f"{text}   {style(each.server, 'dim')}", style)


def _connected(each: Connection, style: Style, now: datetime, named: str = "") -> str:
    place = named or f"{each.address}:{each.port}"
    if each.error or each.tls_error:
        what = f"TLS: {each.tls_error}" if each.tls_error else each.error
        return _line(False, "connection", f"{place} {what}", style)
    if each.tls is None:
        return _line(True, "connection", f"{place} in {each.seconds * 1000:.1f} ms, without TLS", style)
    found = each.tls.certificate
    parts = [f"{place} in {each.seconds * 1000:.1f} ms", each.tls.version, each.tls.alpn or "no ALPN"]
    if found is not None:
        more = f" +{len(found.names) - 1}" if len(found.names) > 1 else ""
        parts += [
            f"{next(iter(found.names), 'no name')}{more} by {found.issuer}",
            f"{(found.not_after - now).days} days left",
        ]
    if named:
        return _line(True, "connection", " · ".join(parts), style)
    parts.append(f"not trusted: {each.tls.distrust}" if each.tls.distrust else "verified")
    return _line(not each.tls.distrust, "connection", " · ".join(parts), style)


def _answered(exchange: Exchange, style: Style, verbose: bool) -> Iterator[str]:
    if exchange.status is None:
        yield _line(False, "answer", f"none: {exchange.error}", style)
        return
    by = f"from the {exchange.speaker}" if exchange.speaker != "unknown" else ""
    text = f"{exchange.status} {by} · HTTP/{exchange.protocol} · first byte {exchange.first_byte * 1000:.1f} ms"
    yield _line(exchange.status < 400, "answer", text, style)
    for name, value in exchange.headers:
        if verbose or name in _NOTABLE:
            yield style(f"{' ' * 17}{name}: {value}", "dim")
    if exchange.status >= 400 and exchange.body:
        yield style(f"{' ' * 17}{' '.join(exchange.text.split())[:100]}", "dim")


def _chosen(balancer: Balancer, style: Style) -> Iterator[str]:
    """A load balancer that was asked for by name, with the health of its targets."""
    text = f"{balancer.name} is {balancer.state}, {balancer.scheme} · {balancer.ports}"
    yield _line(balancer.state == "active", "balancer", text, style)
    for group in balancer.groups:
        healthy = sum(each.state == "healthy" for each in group.targets)
        sick = dict.fromkeys(each.reason or each.state for each in group.targets if each.state != "healthy")
        why = f" ({', '.join(sick)})" if sick else ""
        text = f"{group.name}: {healthy} of {len(group.targets)} healthy{why}"
        yield _line(healthy > 0, "targets", text, style)


def _logs(known: Evidence, style: Style) -> Iterator[str]:
    if (line := known.balancer_log) is not None:
        times = [line.get(f"{each}_processing_time") for each in ("request", "target", "response")]
        rule, took = line.get("matched_rule_priority"), f"{' + '.join(map(str, times))} s"
        parts = [f"rule {rule}", str(line.get("actions_executed")), f"to {line.get('target')}", took]
        yield _line(True, "access log", " · ".join(parts), style)
    if (log := known.gateway_log) is not None:
        parts = [f"flags {log.flags or 'none'}", log.details, log.cluster, f"to {log.upstream or 'no backend'}"]
        yield _line(True, "gateway log", " · ".join(filter(None, parts)), style)


def _prediction(seen: Observation, known: Evidence, style: Style) -> Iterator[str]:
    if known.predicted is None:
        return
    difference = first_difference(seen, known)
    yield _line(None if difference else True, "trace", difference or "predicts the same", style)


def _cause(cause: Cause, style: Style) -> Iterator[str]:
    mark, role = ("!", "open") if cause.warning else ("→", "fail")
    sure = "" if cause.confirmed else style("likely: ", "open")
    at = style(f"  {cause.at}", "dim") if cause.at else ""
    yield f" {style(mark, role)} {style(cause.owner, 'bold')}: {sure}{cause.says} [{cause.name}]{at}"
    for each in cause.because:
        yield style(f"     {each}", "dim")
    if cause.fix:
        yield f"   {style('fix:', 'bold')} {cause.fix}"
