"""Normalizes a request's path as Envoy does before it compares routes.

Source: Envoy's `source/common/http/path_utility.cc`, whose canonical form is Chromium's (`url/url_canon_path.cc`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lockgate.gateway.mesh import HttpSettings

_DOT = re.compile(r"%2[eE]")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_REFUSED = re.compile(r"[^\x21-\x7e]|#")
_ESCAPED_SLASH = re.compile(r"%2[fF]|%5[cC]")
_NUL = re.compile("%00")
_UNSAFE = {ord(char): f"%{ord(char):02X}" for char in '"<>^`{|}'}
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class Moved:
    """Envoy redirects to the path in its normal form."""

    target: str


def canonical(target: str, http: HttpSettings) -> str | Moved | None:
    """The path and query that routing sees, with dot segments, escapes and slashes normalized as the mesh configures.

    None if Envoy answers 400.
    """
    path, mark, query = target.partition("?")
    if not path.startswith("/") or _REFUSED.search(target) or (http.normalize_path and _NUL.search(path)):
        return None
    moves = False
    if http.escaped_slashes != "KEEP_UNCHANGED" and _ESCAPED_SLASH.search(path):
        if http.escaped_slashes == "REJECT_REQUEST":
            return None
        moves = http.escaped_slashes == "UNESCAPE_AND_REDIRECT"
        path = _ESCAPED_SLASH.sub(lambda found: "/" if found[0] in ("%2f", "%2F") else "\\", path)
    if http.normalize_path:
        path = _without_dots(_ESCAPED.sub(_decoded, path.replace("\\", "/"))).translate(_UNSAFE)
    if http.merge_slashes:
        path = re.sub(r"/{2,}", "/", path)
    normal = path + mark + query
    return Moved(normal) if moves else normal


def _decoded(escape: re.Match[str]) -> str:
    char = chr(int(escape[1], 16))
    return char if char in _UNRESERVED else escape[0]


def _without_dots(path: str) -> str:
    segments = path.split("/")[1:]
    kept: list[str] = []
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        plain = _DOT.sub(".", segment)
        if plain == "..":
            if kept:
                kept.pop()
        elif plain != ".":
            kept.append(segment)
            continue
        if last:
            kept.append("")
    return "/" + "/".join(kept)
