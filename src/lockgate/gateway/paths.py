"""Normalizes a request's path as Envoy does before it compares routes.

Source: Envoy's `source/common/http/path_utility.cc`, whose canonical form is Chromium's (`url/url_canon_path.cc`).
"""

from __future__ import annotations

import re

from lockgate.gateway.mesh import HttpSettings

_DOT = re.compile(r"%2[eE]")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_REFUSED = re.compile(r"[^\x21-\x7e]|#")
_NUL = re.compile("%00")
_UNSAFE = {ord(char): f"%{ord(char):02X}" for char in '"<>^`{|}'}
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def canonical(target: str, http: HttpSettings) -> str | None:
    """The path and query that routing sees, with dot segments, escapes and slashes normalized as the mesh configures.

    None if Envoy answers 400.
    """
    path, mark, query = target.partition("?")
    if not path.startswith("/") or _REFUSED.search(target) or (http.normalize_path and _NUL.search(path)):
        return None
    if http.unescape_slashes:
        path = re.sub(r"%2[fF]", "/", re.sub(r"%5[cC]", r"\\", path))
    if http.normalize_path:
        path = _without_dots(_ESCAPED.sub(_decoded, path.replace("\\", "/"))).translate(_UNSAFE)
    if http.merge_slashes:
        path = re.sub(r"/{2,}", "/", path)
    return path + mark + query


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
