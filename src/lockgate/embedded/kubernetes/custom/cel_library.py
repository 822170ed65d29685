"""The functions that Kubernetes adds to CEL, and the environment of its expressions.

Values of Kubernetes' own types are maps with one entry, whose key names the type. The functions of JSONPatch and the
authorizer are not there, nor comprehensions with two variables: an expression with one does not compile, and the error
names it.

Source: kubernetes.io "Common Expression Language in Kubernetes", "Kubernetes CEL libraries".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from functools import cache, partial
from ipaddress import ip_address, ip_interface, ip_network
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_math, ext_optional, ext_strings

from lockgate.embedded.kubernetes.custom.cel_formats import FORMATS, normalized, semver
from lockgate.resources.model import JsonObject

_T = cel.Type


@cache
def environment() -> Any:
    """Expressions of schemas have `self` and `oldSelf`; those of policies `object` and the others."""
    names = ("self", "oldSelf", "object", "oldObject", "request", "params", "namespaceObject", "variables")
    return cel.NewEnv(
        variables=dict.fromkeys(names, _T.DYN),
        functions=_declarations(),
        extensions=[
            ext_strings.ExtStrings(),
            ext_optional.ExtOptional(),
            ext_math.ExtMath(),
            ext_bindings.ExtBindings(),
        ],
    )


def _declarations() -> list[Any]:
    functions: dict[str, list[Any]] = {}

    def add(
        name: str, result: Any, parameters: Iterable[Any], implementation: Callable[..., Any], member: bool
    ) -> None:
        parameters = list(parameters)
        overloads = functions.setdefault(name, [])
        at = f"k8s_{name}_{'member' if member else 'global'}_{len(overloads)}"
        overloads.append(cel.Overload(at, result, parameters, member, implementation))

    text, whole, dyn, flag, listed, own = _T.STRING, _T.INT, _T.DYN, _T.BOOL, _T.List(_T.DYN), _T.Map(_T.STRING, _T.DYN)
    for name, result, parameters, implementation in (
        ("isSorted", flag, [listed], lambda items: all(one <= other for one, other in pairwise(items))),
        ("sum", dyn, [listed], sum),
        ("min", dyn, [listed], min),
        ("max", dyn, [listed], max),
        ("find", text, [text, text], lambda given, pattern: _found(given, pattern)),
        ("findAll", listed, [text, text], lambda given, pattern: [each[0] for each in re.finditer(pattern, given)]),
        ("findAll", listed, [text, text, whole], lambda given, pattern, most: [
            each[0] for _, each in zip(range(most), re.finditer(pattern, given), strict=False)]),
        ("getScheme", text, [own], lambda url: urlsplit(url["url"]).scheme),
        ("getHost", text, [own], lambda url: urlsplit(url["url"]).netloc.rpartition("@")[2]),
        ("getHostname", text, [own], lambda url: urlsplit(url["url"]).hostname or ""),
        ("getPort", text, [own], lambda url: str(urlsplit(url["url"]).port or "")),
        ("getEscapedPath", text, [own], lambda url: urlsplit(url["url"]).path),
        ("getQuery", own, [own], lambda url: parse_qs(urlsplit(url["url"]).query)),
        ("sign", whole, [own], lambda one: (_amount(one) > 0) - (_amount(one) < 0)),
        ("isInteger", flag, [own], lambda one: _amount(one) == _amount(one).to_integral_value()),
        ("asInteger", whole, [own], lambda one: int(_amount(one))),
        ("asApproximateFloat", _T.DOUBLE, [own], lambda one: float(_amount(one))),
        ("add", own, [own, own], lambda one, other: {"quantity": str(_amount(one) + _amount(other))}),
        ("sub", own, [own, own], lambda one, other: {"quantity": str(_amount(one) - _amount(other))}),
        ("add", own, [own, whole], lambda one, other: {"quantity": str(_amount(one) + other)}),
        ("sub", own, [own, whole], lambda one, other: {"quantity": str(_amount(one) - other)}),
        ("compareTo", whole, [own, own], lambda one, other: (
            (_ordered(one) > _ordered(other)) - (_ordered(one) < _ordered(other)))),
        ("isGreaterThan", flag, [own, own], lambda one, other: _ordered(one) > _ordered(other)),
        ("isLessThan", flag, [own, own], lambda one, other: _ordered(one) < _ordered(other)),
        ("major", whole, [own], lambda one: semver(one["semver"])[0]),
        ("minor", whole, [own], lambda one: semver(one["semver"])[1]),
        ("patch", whole, [own], lambda one: semver(one["semver"])[2]),
        ("k8sValidate", _T.List(_T.List(text)), [own, text], lambda one, given: _some(FORMATS[one["format"]](given))),
        ("family", whole, [own], lambda one: ip_address(one["ip"]).version),
        ("isUnspecified", flag, [own], lambda one: ip_address(one["ip"]).is_unspecified),
        ("isLoopback", flag, [own], lambda one: ip_address(one["ip"]).is_loopback),
        ("isLinkLocalMulticast", flag, [own], lambda one: str(one["ip"]).startswith(("224.0.0.", "ff02:"))),
        ("isLinkLocalUnicast", flag, [own], lambda one: ip_address(one["ip"]).is_link_local),
        ("isGlobalUnicast", flag, [own], lambda one: _is_global_unicast(one["ip"])),
        ("containsIP", flag, [own, own], lambda one, other: _within(other["ip"], one["cidr"])),
        ("containsIP", flag, [own, text], lambda one, other: _within(other, one["cidr"])),
        ("containsCIDR", flag, [own, own], lambda one, other: _within(other["cidr"], one["cidr"])),
        ("containsCIDR", flag, [own, text], lambda one, other: _within(other, one["cidr"])),
        ("ip", own, [own], lambda one: {"ip": str(ip_interface(one["cidr"]).ip)}),
        ("prefixLength", whole, [own], lambda one: ip_network(one["cidr"], strict=False).prefixlen),
        ("masked", own, [own], lambda one: {"cidr": str(ip_network(one["cidr"], strict=False))}),
    ):  # fmt: skip
        add(name, result, parameters, implementation, True)
    globals_: list[tuple[str, Any, list[Any], Callable[..., Any]]] = [
        ("url", own, [text], lambda given: {"url": _checked(_is_url, given, "URL")}),
        ("isURL", flag, [text], lambda given: _is_url(given)),
        ("quantity", own, [text], lambda given: {"quantity": _checked(_is_quantity, given, "quantity")}),
        ("isQuantity", flag, [text], lambda given: _is_quantity(given)),
        ("ip", own, [text], lambda given: {"ip": str(ip_address(given))}),
        ("isIP", flag, [text], lambda given: _parses(ip_address, given)),
        ("cidr", own, [text], lambda given: {"cidr": _checked(_is_cidr, given, "CIDR")}),
        ("isCIDR", flag, [text], lambda given: _is_cidr(given)),
        ("ip.isCanonical", flag, [text], lambda given: str(ip_address(given)) == given),
        ("semver", own, [text], lambda given: _version(given)),
        ("semver", own, [text, flag], lambda given, lax: _version(normalized(given) if lax else given)),
        ("isSemver", flag, [text], lambda given: _parses(semver, given)),
        ("isSemver", flag, [text, flag], lambda given, lax: _parses(semver, normalized(given) if lax else given)),
        ("format.k8sNamed", _T.List(own), [text], lambda name: [{"format": name}] if name in FORMATS else []),
        *((f"format.{name}", own, [], partial(_named, name)) for name in FORMATS),
        ("sets.contains", flag, [listed, listed], lambda one, other: all(item in one for item in other)),
        ("sets.intersects", flag, [listed, listed], lambda one, other: any(item in one for item in other)),
        ("sets.equivalent", flag, [listed, listed], lambda one, other: (
            all(item in one for item in other) and all(item in other for item in one))),
    ]  # fmt: skip
    for name, result, parameters, implementation in globals_:
        add(name, result, parameters, implementation, False)
    for item in (whole, _T.DOUBLE, text, flag, _T.BYTES, listed, own):
        add("k8sIndexOf", whole, [listed, item], _index, True)
        add("k8sLastIndexOf", whole, [listed, item], _last_index, True)
    for more in ([], [whole]):
        add("k8sIndexOf", whole, [text, text, *more], str.find, True)
    add("k8sLastIndexOf", whole, [text, text], str.rfind, True)
    add("k8sLastIndexOf", whole, [text, text, whole], _last_until, True)
    return [cel.FunctionDecl(name, overloads) for name, overloads in functions.items()]


def _index(items: list[Any], item: Any) -> int:
    return items.index(item) if item in items else -1


def _last_index(items: list[Any], item: Any) -> int:
    return len(items) - 1 - items[::-1].index(item) if item in items else -1


def _last_until(text: str, part: str, at: int) -> int:
    return text.rfind(part, 0, at + len(part))


def _some(found: list[str]) -> list[list[str]]:
    return [found] if found else []


def _named(name: str) -> JsonObject:
    return {"format": name}


def _version(text: str) -> JsonObject:
    semver(text)
    return {"semver": text}


def _ordered(value: JsonObject) -> Any:
    return semver(value["semver"]) if "semver" in value else _amount(value)


_SUFFIXES = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(r"(?P<number>[+-]?(\d+(\.\d*)?|\.\d+))(?P<suffix>[KMGTPE]i|[numkMGTPE]?|[eE][+-]?\d+)")


def _amount(value: JsonObject) -> Decimal:
    found = _QUANTITY.fullmatch(value["quantity"])
    if found is None:
        raise ValueError(f"{value['quantity']} is not a quantity")
    number, suffix = Decimal(found["number"]), found["suffix"]
    if suffix.endswith("i"):
        return number * Decimal(1024) ** (1 + "KMGTPE".index(suffix[0]))
    power = int(suffix[1:]) if suffix[:1] in ("e", "E") and len(suffix) > 1 else _SUFFIXES[suffix]
    return number * Decimal(10) ** power


def _is_quantity(text: str) -> bool:
    try:
        return _QUANTITY.fullmatch(text) is not None
    except InvalidOperation:
        return False


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool((parts.scheme and parts.netloc) or text.startswith("/")) and " " not in text
    except ValueError:
        return False


def _is_cidr(text: str) -> bool:
    return "/" in text and _parses(lambda given: ip_network(given, strict=False), text)


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _checked(is_valid: Callable[[str], bool], text: str, what: str) -> str:
    if not is_valid(text):
        raise ValueError(f"{text} is not a valid {what}")
    return text


def _found(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


def _within(inner: str, outer: str) -> bool:
    one, other = ip_network(inner, strict=False), ip_network(outer, strict=False)
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def _is_global_unicast(text: str) -> bool:
    address = ip_address(text)
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local)
