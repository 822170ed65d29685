"""Takes a request through the filters of its chain, up to the first that refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, assert_never

from lockgate.gateway.model import Gateway
from lockgate.gateway.policies.authenticate import TokenRuling, authenticate
from lockgate.gateway.policies.evaluate import Ruling, Seen, rule_on
from lockgate.gateway.policies.model import JWT_FILTER, JWT_PAYLOAD, Jwt, Rbac, Wasm
from lockgate.gateway.request import Received, Request, client_address


@dataclass(frozen=True, slots=True)
class ModuleRuling:
    """What becomes of a request at a WebAssembly module: it passes, unless the module is missing."""

    module: Wasm

    @property
    def allowed(self) -> bool:
        return self.module.module != ""


AnyRuling: TypeAlias = Ruling | TokenRuling | ModuleRuling


@dataclass(frozen=True, slots=True)
class Refusal:
    """`challenge` is the header ``www-authenticate``."""

    status: int
    body: bytes
    challenge: str = ""


@dataclass(frozen=True, slots=True)
class Filtered:
    """A request after the filters, which may have changed it. `payload` is the claims of its JWT."""

    received: Received
    rulings: tuple[AnyRuling, ...] = ()
    refusal: Refusal | None = None
    payload: Mapping[str, Any] | None = None


def filtered(gateway: Gateway, received: Received, now: float | None, *, routed: bool) -> Filtered:
    """Without a route for the request, Envoy asks no server of authorization: it is not `routed`."""
    rulings: list[AnyRuling] = []
    payload: Mapping[str, Any] | None = None
    for each in gateway.filters.http if gateway.filters else ():
        match each:
            case Rbac() if each.server and not routed:
                continue
            case Rbac():
                rulings.append(rule_on(each, _seen(gateway, received, payload)))
                refusal = Refusal(403, b"RBAC: access denied")
            case Jwt():
                asked, request = received, received.request
                read = authenticate(each, request.method, request.headers, received.target, now)
                received = replace(received, request=replace(request, headers=read.headers), target=read.target)
                payload = read.payload
                rulings.append(read.ruling)
                refusal = Refusal(read.ruling.code, read.ruling.status.encode(), _challenge(asked))
            case Wasm():
                if not each.on(received.request.port):
                    continue
                rulings.append(ModuleRuling(each))
                refusal = Refusal(403, b"RBAC: access denied")
            case _:
                assert_never(each)
        if not rulings[-1].allowed:
            return Filtered(received, tuple(rulings), refusal)
    return Filtered(received, tuple(rulings), payload=payload)


_LONGEST_PATH: Final = 256


def _challenge(received: Received) -> str:
    """Source: Envoy's `source/extensions/filters/http/jwt_authn/filter.cc`."""
    realm = f"{received.scheme}://{received.request.authority}{received.target[:_LONGEST_PATH]}"
    return f'Bearer realm="{realm}", error="invalid_token"'


def filtered_bytes(gateway: Gateway, request: Request) -> tuple[AnyRuling, ...]:
    """What the filters decide about a connection that carries bytes."""
    seen = Seen(request.peer, request.peer, request.port, server_name=request.sni or "")
    rulings: list[AnyRuling] = []
    for each in gateway.filters.network if gateway.filters else ():
        if isinstance(each, Rbac):
            rulings.append(rule_on(each, seen))
        elif each.on(request.port):
            rulings.append(ModuleRuling(each))
        else:
            continue
        if not rulings[-1].allowed:
            break
    return tuple(rulings)


def _seen(gateway: Gateway, received: Received, payload: Mapping[str, Any] | None) -> Seen:
    request = received.request
    pseudo = {":method": request.method, ":authority": request.authority, ":scheme": received.scheme}
    known = {**pseudo, ":path": received.target, "x-forwarded-proto": received.forwarded}
    return Seen(
        peer=request.peer,
        client=client_address(gateway.http.trusted_proxies, request),
        port=request.port,
        server_name=request.sni or "",
        path=received.target,
        header=lambda name: known[name] if name in known else request.header(name),
        metadata={JWT_FILTER: {JWT_PAYLOAD: payload}} if payload is not None else {},
    )
