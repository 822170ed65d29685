"""LG3011: a certificate without a host. Manifests alone do not show it: what they name is supplied with all hosts."""

from __future__ import annotations

import json
from dataclasses import replace

from lockgate.check.analyzers import public_names
from lockgate.edge.edge import Certificate, Edge
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.model import JsonObject
from lockgate.resources.reader import read

ARN = "arn:aws:acm:eu-west-1:111122223333:certificate/0f5ce1d2-0000-4000-8000-000000000000"
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "annotations": {"alb.ingress.kubernetes.io/certificate-arn": ARN},
    },
    "spec": {
        "ingressClassName": "alb",
        "rules": [
            {
                "host": host,
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]},
            }
            for host in ("www.shop.example", "a.www.shop.example")
        ],
    },
}


def edge_of(manifest: JsonObject) -> Edge:
    reading = read(json.dumps(manifest), "a.json")
    return from_manifests(Manifests(reading.documents, reading.faults, ("a.json",), frozenset(), {}), Options(()))


def test_a_wildcard_covers_one_label() -> None:
    edge = edge_of(INGRESS)
    assert list(public_names.analyze(edge)) == []
    issued = replace(edge, certificates={ARN: Certificate(("shop.example", "*.shop.example"))})
    [fault] = public_names.analyze(issued)
    assert (fault.code.id, dict(fault.values)["host"]) == ("LG3011", "a.www.shop.example")
    assert list(public_names.analyze(replace(edge, certificates={}))) == []
