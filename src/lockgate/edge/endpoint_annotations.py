"""external-dns' annotations, with both of its prefixes.

Source: kubernetes-sigs/external-dns `docs/annotations/annotations.md`. Versions from 0.22 read the first prefix, older
ones the second (newer ones do if configured). If both are set, the first counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lockgate.dns.model import SIMPLE, Failover, Geolocation, Latency, MultiValue, Policy, Weighted
from lockgate.resources import networking
from lockgate.resources.model import Resource

PREFIXES = ("external-dns.kubernetes.io/", "external-dns.alpha.kubernetes.io/")
CONTROLLER = "dns-controller"
_UNITS = {"h": 3600, "m": 60, "s": 1}


def value(annotations: Mapping[str, str], key: str) -> str:
    """An annotation by its key without prefix; "" if it is not set."""
    return next((annotations[prefix + key].strip() for prefix in PREFIXES if prefix + key in annotations), "")


def items(annotations: Mapping[str, str], key: str) -> tuple[str, ...]:
    """A comma-separated list."""
    return tuple(item for part in value(annotations, key).split(",") if (item := part.strip().rstrip(".")))


def hostnames(resource: Resource) -> tuple[str, ...]:
    """The hosts of an object's records besides those in its fields."""
    noted = resource.metadata.annotations
    return tuple(host.lower() for host in items(noted, "hostname")) if handled(noted) else ()


def ingress_hosts(ingress: networking.Ingress) -> tuple[str, ...]:
    """The hosts of an Ingress's records: from its fields, its annotation, or both."""
    written = [rule.host for rule in ingress.spec.rules if rule.host]
    written += [host for tls in ingress.spec.tls for host in tls.hosts]
    match value(ingress.metadata.annotations, "ingress-hostname-source"):
        case "defined-hosts-only":
            return tuple(written)
        case "annotation-only":
            return hostnames(ingress)
    return (*written, *hostnames(ingress))


def handled(annotations: Mapping[str, str]) -> bool:
    """False if the object belongs to another controller."""
    return value(annotations, "controller") in ("", CONTROLLER)


def ttl(annotations: Mapping[str, str]) -> int | None:
    """Seconds, from a number or a Go duration; None if unset, invalid or out of range."""
    text = value(annotations, "ttl")
    if text.isdecimal():
        seconds = int(text)
    elif re.fullmatch(r"(?:\d+[hms])+", text):
        seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([hms])", text))
    else:
        return None
    return seconds if 1 <= seconds < 2**31 else None


def routing(annotations: Mapping[str, str]) -> tuple[str, Policy]:
    """The set identifier and the Route 53 routing policy. Without an identifier, the policy is simple routing."""
    identifier = value(annotations, "set-identifier")
    if not identifier:
        return "", SIMPLE
    if (weight := value(annotations, "aws-weight")).isdecimal():
        return identifier, Weighted(int(weight))
    if region := value(annotations, "aws-region"):
        return identifier, Latency(region)
    match value(annotations, "aws-failover"):
        case "PRIMARY":
            return identifier, Failover("PRIMARY")
        case "SECONDARY":
            return identifier, Failover("SECONDARY")
    place = Geolocation(
        value(annotations, "aws-geolocation-continent-code"),
        value(annotations, "aws-geolocation-country-code"),
        value(annotations, "aws-geolocation-subdivision-code"),
    )
    if place != Geolocation():
        return identifier, place
    if value(annotations, "aws-multi-value-answer"):
        return identifier, MultiValue()
    return "", SIMPLE
