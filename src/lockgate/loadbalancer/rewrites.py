"""Transforms: a rule's rewrites of host, and of path and query, after the rule is chosen.

Source: "Transforms for listener rules". No match leaves the request as it is; a result that is no host or no path
fails the request with status 500.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from lockgate.loadbalancer.model import Rewrite
from lockgate.loadbalancer.request import Request


class RewriteFailed(Exception):
    """The expression matched and what came of it cannot be sent."""


def rewritten(transforms: Sequence[Rewrite], request: Request) -> Request:
    for transform in transforms:
        match transform.target:
            case "host-header":
                made = substituted(transform, request.host)
                if not made or re.search(r"[^!-~]|[/?#]", made):
                    raise RewriteFailed(f"the host rewrite leads to {made!r}, which is no host")
                request = replace(request, host=made)
            case "url":
                made = substituted(transform, request.target)
                if not made.startswith("/") or re.search(r"[^!-~]", made):
                    raise RewriteFailed(f"the URL rewrite leads to {made!r}, which is no path")
                request = replace(request, target=made)
    return request


def substituted(transform: Rewrite, text: str) -> str:
    """Every match replaced; ``$1`` to ``$9`` are the expression's groups."""
    compiled = _compiled(transform.regex)
    if compiled is None:
        return text
    made, end = "", 0
    for found in compiled.finditer(text):
        if found.start() == found.end() == end and end > 0:
            continue  # RE2 takes no empty match right behind another match
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
