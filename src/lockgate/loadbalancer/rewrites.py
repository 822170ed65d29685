"""Transforms: a rule rewrites the host, or path and query, after it has matched.

Source: "Transforms for listener rules". If the expression does not match, the request is unchanged. If the result is
not a valid host or path, the request fails with status 500.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from lockgate.loadbalancer.model import Rewrite
from lockgate.loadbalancer.request import Request


class RewriteFailed(Exception):
    """The expression matched, but its result is not a valid host or path."""


def rewritten(transforms: Sequence[Rewrite], request: Request) -> Request:
    for transform in transforms:
        match transform.target:
            case "host-header":
                made = substituted(transform, request.host)
                if not made or re.search(r"[^!-~]|[/?#]", made):
                    raise RewriteFailed(f"the host rewrite leads to {made!r}, which is not a valid host")
                request = replace(request, host=made)
            case "url":
                made = substituted(transform, request.target)
                if not made.startswith("/") or re.search(r"[^!-~]", made):
                    raise RewriteFailed(f"the URL rewrite leads to {made!r}, which is not a valid path")
                request = replace(request, target=made)
    return request


def substituted(transform: Rewrite, text: str) -> str:
    """Replaces every match; ``$1`` to ``$9`` are the expression's groups."""
    compiled = _compiled(transform.regex)
    if compiled is None:
        return text
    made, end = "", 0
    for found in compiled.finditer(text):
        if found.start() == found.end() == end and end > 0:
            continue  # RE2 has no empty match directly after another match
        made += text[end : found.start()] + _filled(transform.replace, found)
        end = found.end()
    return made + text[end:]


def _filled(template: str, found: re.Match[str]) -> str:
    return re.sub(r"\$(\d)", lambda group: _group(found, int(group[1])), template)


def _group(found: re.Match[str], number: int) -> str:
    return (found.group(number) or "") if number <= (found.re.groups) else ""


@lru_cache(maxsize=4096)
def _compiled(regex: str) -> re.Pattern[str] | None:
    try:
        return re.compile(regex)
    except re.error:
        return None
