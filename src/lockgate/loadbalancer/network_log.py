"""A TLS connection's line in the access log of a network load balancer, in AWS's format.

Source: "Access logs for your Network Load Balancer", "Access log entries". As in AWS, a field without a value is ``-``:
those are here also the protocols of ALPN, which Envoy does not log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from lockgate.loadbalancer.access_log import start_of
from lockgate.loadbalancer.network import NetworkLoadBalancer


def line(record: Mapping[str, str], balancer: NetworkLoadBalancer, address: str, certificate: str) -> str:
    """One line without its line break, from the record that Envoy logs (`xds.loadbalancer.access_log`)."""
    started = start_of(record)
    lasted = record.get("duration", "-")
    ended = started + timedelta(milliseconds=int(lasted) if lasted.isdigit() else 0)
    port = record["listener_port"]
    listener = next((each.arn for each in balancer.listeners if str(each.port) == port), "")
    fields = [
        "tls",
        "2.0",
        f"{ended:%Y-%m-%dT%H:%M:%S}",
        balancer.arn.partition(":loadbalancer/")[2] or balancer.name,
        listener.rpartition("/")[2] or "-",
        record["client"],
        f"{address}:{port}",
        lasted,
        _field(record, "handshake"),
        _field(record, "received"),
        _field(record, "sent_bytes"),
        "-",
        certificate or "-",
        "-",
        _field(record, "cipher"),
        _field(record, "tls").lower().replace(".", ""),
        "-",
        _field(record, "server_name"),
        "-",
        "-",
        "-",
        f"{started:%Y-%m-%dT%H:%M:%S}",
    ]
    return " ".join(fields)


def _field(record: Mapping[str, str], name: str) -> str:
    return record.get(name) or "-"
