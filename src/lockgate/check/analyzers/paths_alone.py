"""Paths of type ImplementationSpecific that look like prefixes, and are patterns without a wildcard."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.check.ingresses import members
from lockgate.edge.edge import Edge
from lockgate.ingress.annotations import registry as a
from lockgate.resources.codes import rules as codes
from lockgate.resources.faults import Fault, Origin

CODES = (codes.PATH_ALONE,)


def analyze(edge: Edge) -> Iterator[Fault]:
    for balancer in edge.application_load_balancers:
        for ingress in members(edge, balancer):
            if ingress.metadata.annotations.get(a.USE_REGEX_PATH_MATCH.key) == "true":
                continue
            for number, rule in enumerate(ingress.spec.rules):
                for index, path in enumerate(rule.http.paths if rule.http else ()):
                    plain = path.path and not set("*?").intersection(path.path)
                    if path.path_type == "ImplementationSpecific" and plain:
                        where = ("spec", "rules", number, "http", "paths", index, "path")
                        yield codes.PATH_ALONE.at(Origin(ingress.key, where), path=path.path)
