"""Istio's CRD and webhook for ProxyConfig: `pkg/config/validation/validation.go`, ValidateProxyConfig."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.resources import field_errors, istio
from lockgate.resources.field_errors import FieldError
from lockgate.resources.rules import istio_selectors


def refusals(config: istio.ProxyConfig) -> Iterator[FieldError]:
    spec = config.spec
    if spec.concurrency is not None and spec.concurrency < 0:
        message = "should be greater than or equal to 0"
        yield field_errors.invalid(("spec", "concurrency"), spec.concurrency, message)
    yield from istio_selectors.refusals(spec.selector, None, ())


def warnings(config: istio.ProxyConfig) -> Iterator[FieldError]:
    yield from istio_selectors.warnings(config.spec.selector)
