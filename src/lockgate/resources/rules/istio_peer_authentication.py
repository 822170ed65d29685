"""Istio's webhook for PeerAuthentication: `pkg/config/validation/validation.go`, ValidatePeerAuthentication."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError
from lockgate.resources.rules import istio_selectors
from lockgate.resources.rules.istio_names import conflict, problem, required

_PORTS = ("spec", "portLevelMtls")


def refusals(policy: istio.PeerAuthentication) -> Iterator[FieldError]:
    spec = policy.spec
    labels = spec.selector.match_labels if spec.selector else {}
    if not labels and spec.port_level_mtls:
        yield conflict(_PORTS, "mesh/namespace peer authentication cannot have port level mTLS")
    if spec.port_level_mtls == {}:
        yield required(_PORTS, "port level mTLS, if defined, must have at least one element")
    for port in spec.port_level_mtls or {}:
        if not port.isdecimal() or not 1 <= int(port) <= 65535:
            yield problem((*_PORTS, port), "port must be in range 1..65535")
    yield from istio_selectors.refusals(spec.selector, None, ())


def warnings(policy: istio.PeerAuthentication) -> Iterator[FieldError]:
    yield from istio_selectors.warnings(policy.spec.selector)
