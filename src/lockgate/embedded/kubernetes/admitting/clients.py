"""What a cluster refuses in the clientConfig of a webhook. Source: apiserver `pkg/util/webhook/validation.go`."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.model import JsonObject

_FORMAT = "; desired format: https://host[/path]"


def refusals(client: JsonObject, at: Path) -> Iterator[FieldError]:
    url = client.get("url")
    if bool(url) == bool(client.get("service")):
        yield field_errors.required(at, "exactly one of url or service is required")
    elif url:
        try:
            parts = urlsplit(str(url))
        except ValueError as error:
            yield field_errors.required((*at, "url"), f"url must be a valid URL: {error}{_FORMAT}")
            return
        if parts.scheme != "https":
            why = f"'https' is the only allowed URL scheme{_FORMAT}"
            yield field_errors.invalid((*at, "url"), parts.scheme, why)
        if not parts.netloc:
            yield field_errors.invalid((*at, "url"), parts.netloc, f"host must be specified{_FORMAT}")
        for name, found in (
            ("user information", parts.username),
            ("fragments", parts.fragment),
            ("query", parts.query),
        ):
            if found:
                why = f"{name} {'is' if name != 'fragments' else 'are'} not permitted in the URL"
                yield field_errors.invalid((*at, "url"), found, why)
