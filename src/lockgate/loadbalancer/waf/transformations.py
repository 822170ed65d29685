"""Text transformations, applied to a part of a request before it is inspected.

AWS describes most transformations in the words of ModSecurity's functions of the same name; that manual settles what
AWS leaves open. `SUPPORTED` has all supported transformations; the others are not documented anywhere.

Source: AWS WAF Developer Guide, "Text transformations"; ModSecurity Reference Manual, "Transformation functions".
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

Transformation = Callable[[bytes], bytes]


def transformed(value: bytes, names: Iterable[str]) -> bytes:
    """`names` are keys of `SUPPORTED`, in the order of application."""
    for name in names:
        value = SUPPORTED[name](value)
    return value


def _compress_white_space(value: bytes) -> bytes:
    return re.sub(rb"[\t\n\v\f\r \xa0]+", b" ", value)


def _command_line(value: bytes) -> bytes:
    value = re.sub(rb"[\\\"'^]", b"", value)
    value = re.sub(rb"[,;\s]+", b" ", value)
    return re.sub(rb" +(?=[/(])", b"", value).lower()


def _byte_of(code: int) -> bytes:
    """A code's lower byte; full-width ASCII becomes ASCII."""
    return bytes([(code & 0xFF) + 0x20 if 0xFF01 <= code <= 0xFF5E else code & 0xFF])


def _url_decode(value: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), value.replace(b"+", b" "))


def _url_decode_uni(value: bytes) -> bytes:
    def one(found: re.Match[bytes]) -> bytes:
        return _byte_of(int(found[1], 16)) if found[1] else bytes([int(found[2], 16)])

    return re.sub(rb"%(?:[uU]([0-9A-Fa-f]{4})|([0-9A-Fa-f]{2}))", one, value.replace(b"+", b" "))


_ENTITIES: Final = {b"quot": b'"', b"nbsp": b"\xa0", b"lt": b"<", b"gt": b">", b"amp": b"&"}


def _html_entity_decode(value: bytes) -> bytes:
    def one(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return bytes([int(found[1], 16) & 0xFF])
        if found[2]:
            return bytes([int(found[2]) & 0xFF])
        return _ENTITIES[found[3].lower()]

    return re.sub(rb"(?i)&(?:#x([0-9a-f]{1,7});?|#([0-9]{1,7});?|(quot|nbsp|lt|gt|amp);?)", one, value)


_BASE64: Final = rb"[A-Za-z0-9+/]"


def _base64_decode(value: bytes) -> bytes:
    """Decodes up to the first character outside the Base64 alphabet."""
    found = re.match(_BASE64 + rb"*", value)
    return _decoded(found[0] if found else b"")


def _base64_decode_ext(value: bytes) -> bytes:
    """Skips characters outside the Base64 alphabet."""
    return _decoded(b"".join(re.findall(_BASE64, value)))


def _decoded(digits: bytes) -> bytes:
    whole = digits[: len(digits) - 1] if len(digits) % 4 == 1 else digits
    return b64decode(whole + b"=" * (-len(whole) % 4))


def _hex_decode(value: bytes) -> bytes:
    try:
        return bytes.fromhex(value.decode("ascii"))
    except ValueError:
        return value


def _sql_hex_decode(value: bytes) -> bytes:
    return re.sub(rb"0[xX]((?:[0-9A-Fa-f]{2})+)", lambda found: bytes.fromhex(found[1].decode()), value)


_C_ESCAPES: Final = {
    **{letter: bytes([code]) for letter, code in zip(b"abfnrtv", (7, 8, 12, 10, 13, 9, 11), strict=True)},
    **{letter: bytes([letter]) for letter in b"\\?'\""},
}


def _escape_sequences(value: bytes) -> bytes:
    """ANSI C escape sequences. Invalid ones stay unchanged."""

    def one(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return bytes([int(found[1], 16)])
        if found[2]:
            return bytes([int(found[2], 8) & 0xFF])
        return _C_ESCAPES[found[3][0]]

    return re.sub(rb"\\(?:x([0-9A-Fa-f]{2})|([0-7]{1,3})|([abfnrtv\\?'\"]))", one, value)


def _css_decode(value: bytes) -> bytes:
    """The last two hexadecimal digits of an escape count; a backslash before anything else is dropped."""

    def one(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return _byte_of(int(found[1], 16)) if len(found[1]) >= 4 else bytes([int(found[1], 16) & 0xFF])
        return (found[2] or b"").removeprefix(b"\n")

    return re.sub(rb"(?s)\\(?:([0-9A-Fa-f]{1,6})\s?|(.)|\Z)", one, value)


def _js_decode(value: bytes) -> bytes:
    def one(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return _byte_of(int(found[1], 16))
        if found[2]:
            return bytes([int(found[2], 16)])
        if found[3]:
            return bytes([int(found[3], 8) & 0xFF])
        return _C_ESCAPES[found[4][0]] if found[4] in b"abfnrtv" else found[4]

    return re.sub(rb"(?s)\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([0-3][0-7]{2}|[0-7]{1,2})|(.))", one, value)


def _replace_comments(value: bytes) -> bytes:
    return re.sub(rb"(?s)/\*.*?(?:\*/|\Z)", b" ", value)


def _remove_comments_char(value: bytes) -> bytes:
    return re.sub(rb"/\*|\*/|--|#", b"", value)


def _normalize_path(value: bytes) -> bytes:
    """Removes repeated slashes, ``.``, and ``..`` after a name."""
    kept: list[bytes] = []
    parts = value.split(b"/")
    for part in parts:
        if part == b".." and kept and kept[-1] != b"..":
            kept.pop()
        elif part not in (b"", b".") and not (part == b".." and value.startswith(b"/")):
            kept.append(part)
    rooted = b"/" if value.startswith(b"/") else b""
    ended = b"/" if kept and parts[-1] in (b"", b".", b"..") else b""
    return rooted + b"/".join(kept) + ended


def _utf8_to_unicode(value: bytes) -> bytes:
    """Characters beyond ASCII as ``%uHHHH``. Invalid UTF-8 stays unchanged."""

    def one(char: str) -> bytes:
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            return bytes([code - 0xDC00])
        return char.encode() if code < 0x80 else b"%%u%04x" % code

    return b"".join(map(one, value.decode("utf-8", "surrogateescape")))


_SPACES: Final = b"\t\n\v\f\r "

SUPPORTED: Final[Mapping[str, Transformation]] = MappingProxyType(
    {
        "NONE": lambda value: value,
        "BASE64_DECODE": _base64_decode,
        "BASE64_DECODE_EXT": _base64_decode_ext,
        "CMD_LINE": _command_line,
        "COMPRESS_WHITE_SPACE": _compress_white_space,
        "CSS_DECODE": _css_decode,
        "ESCAPE_SEQ_DECODE": _escape_sequences,
        "HEX_DECODE": _hex_decode,
        "HTML_ENTITY_DECODE": _html_entity_decode,
        "JS_DECODE": _js_decode,
        "LOWERCASE": bytes.lower,
        "MD5": lambda value: hashlib.md5(value, usedforsecurity=False).digest(),
        "NORMALIZE_PATH": _normalize_path,
        "NORMALIZE_PATH_WIN": lambda value: _normalize_path(value.replace(b"\\", b"/")),
        "REMOVE_COMMENTS_CHAR": _remove_comments_char,
        "REMOVE_NULLS": lambda value: value.replace(b"\0", b""),
        "REMOVE_WHITESPACE": lambda value: re.sub(rb"[\t\n\v\f\r \xa0]+", b"", value),
        "REPLACE_COMMENTS": _replace_comments,
        "REPLACE_NULLS": lambda value: value.replace(b"\0", b" "),
        "SHA256": lambda value: hashlib.sha256(value).digest(),
        "SQL_HEX_DECODE": _sql_hex_decode,
        "TRIM": lambda value: value.strip(_SPACES),
        "TRIM_LEFT": lambda value: value.lstrip(_SPACES),
        "TRIM_RIGHT": lambda value: value.rstrip(_SPACES),
        "UPPERCASE": bytes.upper,
        "URL_DECODE": _url_decode,
        "URL_DECODE_UNI": _url_decode_uni,
        "UTF8_TO_UNICODE": _utf8_to_unicode,
    }
)
