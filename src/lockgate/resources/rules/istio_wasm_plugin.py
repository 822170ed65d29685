"""Istio's CRD and webhook for WasmPlugin: `pkg/config/validation/validation.go`, ValidateWasmPlugin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from lockgate.resources import field_errors, istio
from lockgate.resources.field_errors import FieldError, Reason
from lockgate.resources.rules import istio_selectors
from lockgate.resources.rules.istio_names import conflict, problem, q

_SCHEMES: Final = ("", "http", "https", "file", "oci")
_NOT_IN_URLS: Final = re.compile(r"[\s#%](?![0-9A-Fa-f]{2})")
_SHA256: Final = re.compile("(?:[a-f0-9]{64})?")


def refusals(plugin: istio.WasmPlugin) -> Iterator[FieldError]:
    spec = plugin.spec
    yield from _sized(("spec", "url"), spec.url, None)
    if spec.url and not _is_url(spec.url):
        message = "url must have schema one of [http, https, file, oci]"
        yield field_errors.invalid(("spec", "url"), spec.url, message)
    if not _SHA256.fullmatch(spec.sha256):
        message = "should match '(^$|^[a-f0-9]{64}$)'"
        yield field_errors.invalid(("spec", "sha256"), spec.sha256, message)
    yield from _sized(("spec", "imagePullSecret"), spec.image_pull_secret, 253)
    yield from _sized(("spec", "pluginName"), spec.plugin_name, 256)
    names: set[str] = set()
    for index, each in enumerate(spec.vm_config.env if spec.vm_config else ()):
        at = ("spec", "vmConfig", "env", index)
        yield from _sized((*at, "name"), each.name, 256)
        if each.name in names:
            yield problem((*at, "name"), f"Duplicate value: {q(each.name)}", Reason.DUPLICATE)
        names.add(each.name)
        if each.value_from != "INLINE" and each.value:
            yield conflict((*at, "value"), "value may only be set when valueFrom is INLINE")
    for index, match in enumerate(spec.match):
        for place, port in enumerate(match.ports):
            if not 1 <= port.number <= 65535:
                number = ("spec", "match", index, "ports", place, "number")
                yield field_errors.invalid(number, port.number, "should be between 1 and 65535")
    yield from istio_selectors.refusals(spec.selector, spec.target_ref, spec.target_refs)


def warnings(plugin: istio.WasmPlugin) -> Iterator[FieldError]:
    yield from istio_selectors.warnings(plugin.spec.selector)


def _sized(path: tuple[str | int, ...], text: str | None, most: int | None) -> Iterator[FieldError]:
    if text == "":
        yield field_errors.invalid(path, text, "should be at least 1 chars long")
    elif text is not None and most is not None and len(text) > most:
        yield field_errors.invalid(path, text, f"should be at most {most} chars long")


def _is_url(text: str) -> bool:
    """One without a scheme is an image of a registry."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError:
        return False
    return (
        parts.scheme in _SCHEMES
        and bool(parts.netloc or parts.path)
        and not re.search(r"[\s#%](?![0-9A-Fa-f]{2})", text)
    )
