"""Istio's CRDs and webhook for kinds that are stored as written: `pkg/config/validation/validation.go`,
ValidateSidecar and ValidateWorkloadGroup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from lockgate.resources import field_errors, istio
from lockgate.resources.field_errors import FieldError, Path, Reason
from lockgate.resources.model import JsonObject, Model
from lockgate.resources.rules import istio_destination_rule as destination_rule
from lockgate.resources.rules import istio_gateway as gateway
from lockgate.resources.rules import istio_names as names
from lockgate.resources.rules.istio_names import conflict, problem, q, required

ModelT = TypeVar("ModelT", bound=Model)

_UNIX: Final = "unix://"
_HERE: Final = ("", "127.0.0.1", "0.0.0.0", "::1", "::")  # noqa: S104
_ENDPOINT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):([^:]*)")
_CONFIGURES: Final = ("egress", "ingress", "outboundTrafficPolicy", "inboundConnectionPool")
_COUNTS: Final = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_METHODS: Final = ("httpGet", "tcpSocket", "exec", "grpc")
_HEADER = re.compile("[-_A-Za-z0-9]+")


def sidecar(given: istio.Sidecar) -> Iterator[FieldError]:
    spec = given.spec
    incomplete = [*_incomplete(spec, "ingress", "port"), *_incomplete(spec, "egress", "hosts")]
    yield from incomplete
    if incomplete:
        return
    labels = _object(_object(spec, "workloadSelector"), "labels")
    if found := list(names.selector(("spec", "workloadSelector", "labels"), {k: str(v) for k, v in labels.items()})):
        yield from found
        return
    if not any(spec.get(field) for field in _CONFIGURES):
        yield required(("spec",), "sidecar: empty configuration provided")
    ports: set[int] = set()
    for index, listener in enumerate(_objects(spec, "ingress")):
        path: Path = ("spec", "ingress", index)
        yield from _port(path, listener, ports)
        yield from _endpoint((*path, "defaultEndpoint"), _text(listener, "defaultEndpoint"))
        if (tls := _read(istio.ServerTLSSettings, listener, "tls")) is not None:
            yield from _ingress_tls((*path, "tls"), tls)
        if (pool := _read(istio.ConnectionPoolSettings, listener, "connectionPool")) is not None:
            yield from destination_rule.pool((*path, "connectionPool"), pool)
    if (pool := _read(istio.ConnectionPoolSettings, spec, "inboundConnectionPool")) is not None:
        yield from destination_rule.pool(("spec", "inboundConnectionPool"), pool)
    yield from _egress(_objects(spec, "egress"))
    policy = _object(spec, "outboundTrafficPolicy")
    if "egressProxy" in policy:
        yield from _egress_proxy(("spec", "outboundTrafficPolicy", "egressProxy"), policy)


def _ingress_tls(path: Path, tls: istio.ServerTLSSettings) -> Iterator[FieldError]:
    if tls.subject_alt_names:
        yield conflict((*path, "subjectAltNames"), "sidecar: subjectAltNames is not supported in ingress tls")
    if tls.https_redirect:
        yield conflict((*path, "httpsRedirect"), "sidecar: httpsRedirect is not supported")
    if tls.credential_name:
        yield conflict((*path, "credentialName"), "sidecar: credentialName is not currently supported")
    if tls.mode in ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH"):
        message = f"configuration is invalid: cannot set mode to {tls.mode} in sidecar ingress tls"
        yield problem((*path, "mode"), message)
    yield from gateway.server_tls(path, tls)


def _incomplete(spec: JsonObject, listeners: str, field: str) -> Iterator[FieldError]:
    for index, listener in enumerate(_objects(spec, listeners)):
        if field not in listener:
            yield field_errors.required(("spec", listeners, index, field))


def _port(path: Path, listener: JsonObject, ports: set[int]) -> Iterator[FieldError]:
    port, bind = _object(listener, "port"), _text(listener, "bind")
    number, at = _number(port, "number"), (*path, "port")
    if _number(port, "targetPort") > 0:
        yield problem((*at, "targetPort"), "targetPort has no impact on Sidecars")
    yield from _port_name((*at, "name"), _text(port, "name"))
    yield from names.protocol((*at, "protocol"), _text(port, "protocol"))
    yield from names.port((*at, "number"), number)
    if bind and not names.is_address(bind):
        yield problem((*path, "bind"), f"{bind} is not a valid IP")
    if number in ports:
        yield problem((*at, "number"), "sidecar: ports on IP bound listeners must be unique", Reason.DUPLICATE)
    ports.add(number)


def _port_name(path: Path, name: str) -> Iterator[FieldError]:
    if name and not names.is_label(name):
        yield problem(path, f"invalid port name: {name}")


def _endpoint(path: Path, endpoint: str) -> Iterator[FieldError]:
    if endpoint.startswith(_UNIX):
        yield from names.unix_address(path, endpoint.removeprefix(_UNIX))
        return
    if not endpoint:
        return
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None:
        yield problem(path, f"address {endpoint}: missing port in address")
        return
    if found[1].strip("[]") not in _HERE:
        yield problem(
            path,
            "sidecar: defaultEndpoint must be of form 127.0.0.1:<port>,0.0.0.0:<port>,[::1]:port,[::]:port,"
            "unix://filepath or unset",
        )
    if re.fullmatch(r"[+-]?[0-9]+", found[2]):
        yield from names.port(path, int(found[2]))
    else:
        reason = f"strconv.Atoi: parsing {q(found[2])}: invalid syntax"
        yield problem(path, f"sidecar: defaultEndpoint port ({found[2]}) is not a number: {reason}")


def _egress(listeners: list[JsonObject]) -> Iterator[FieldError]:
    ports: set[int] = set()
    sockets: set[str] = set()
    for index, listener in enumerate(listeners):
        path: Path = ("spec", "egress", index)
        if "port" not in listener:
            if index < len(listeners) - 1:
                message = "sidecar: the egress listener with empty port should be the last listener in the list"
                yield problem(path, message)
        elif _number(_object(listener, "port"), "number"):
            yield from _port(path, listener, ports)
        else:
            yield from _socket(path, listener, sockets)
        hosts = listener.get("hosts")
        if not isinstance(hosts, list) or not hosts:
            yield required((*path, "hosts"), "sidecar: egress listener must contain at least one host")
            continue
        for number, host in enumerate(hosts):
            yield from _host((*path, "hosts", number), str(host))


def _socket(path: Path, listener: JsonObject, sockets: set[str]) -> Iterator[FieldError]:
    """A listener without a port number."""
    port, bind, at = _object(listener, "port"), _text(listener, "bind"), (*path, "bind")
    if _number(port, "targetPort") > 0:
        yield problem((*path, "port", "targetPort"), "targetPort has no impact on Sidecars")
    yield from _port_name((*path, "port", "name"), _text(port, "name"))
    yield from names.protocol((*path, "port", "protocol"), _text(port, "protocol"))
    if bind.startswith(_UNIX):
        yield from names.unix_address(at, bind.removeprefix(_UNIX))
    else:
        yield problem(at, "sidecar: ports with 0 value must have a unix domain socket bind address")
    if _text(listener, "captureMode") not in ("", "DEFAULT", "NONE"):
        message = "sidecar: captureMode must be DEFAULT/NONE for unix domain socket listeners"
        yield problem((*path, "captureMode"), message)
    if bind in sockets:
        yield problem(at, "sidecar: unix domain socket values for listeners must be unique", Reason.DUPLICATE)
    sockets.add(bind)


def _host(path: Path, host: str) -> Iterator[FieldError]:
    namespace, slash, name = host.partition("/")
    if not slash:
        yield problem(path, "host must be of form namespace/dnsName")
        return
    if not namespace or not name:
        yield problem(path, "config namespace and dnsName in host entry cannot be empty")
        return
    if namespace not in ("*", ".", "~") and not names.is_label(namespace):
        yield problem(path, f"invalid namespace value {q(namespace)} in sidecar")
    if name != "*" and "." not in name:
        yield problem(path, "short names (non FQDN) are not allowed")
    yield from names.wildcard_domain(path, name)
    yield from names.partial_wildcard(path, name)


def _egress_proxy(path: Path, policy: JsonObject) -> Iterator[FieldError]:
    proxy = _object(policy, "egressProxy")
    if _text(policy, "mode") != "ALLOW_ANY":
        message = "sidecar: egress_proxy must be set only with ALLOW_ANY outbound_traffic_policy mode"
        yield problem(path, message)
        return
    yield from names.domain((*path, "host"), _text(proxy, "host"))
    if "port" not in proxy:
        yield required((*path, "port"), "sidecar: egress_proxy port must be non-nil")


def workload_group(given: istio.WorkloadGroup) -> Iterator[FieldError]:
    spec, path = given.spec, ("spec", "probe")
    refused = False
    for fault in _of_crd(spec):
        refused = True
        yield fault
    if refused:
        return
    labels = {name: str(value) for name, value in _object(_object(spec, "metadata"), "labels").items()}
    yield from names.label_values(("spec", "metadata", "labels"), labels)
    if "probe" not in spec:
        return
    probe = _object(spec, "probe")
    if not any(method in probe for method in _METHODS):
        yield problem(path, "unknown health check method <nil>")
    if "exec" in probe and not _object(probe, "exec").get("command"):
        yield required((*path, "exec", "command"), "exec.command is required")


def _of_crd(spec: JsonObject) -> Iterator[FieldError]:
    if "template" not in spec:
        yield field_errors.required(("spec", "template"))
    probe, path = _object(spec, "probe"), ("spec", "probe")
    for count in _COUNTS:
        if _number(probe, count) < 0:
            message = "should be greater than or equal to 0"
            yield field_errors.invalid((*path, count), probe[count], message)
    for method, field in (("httpGet", "port"), ("tcpSocket", "port"), ("exec", "command")):
        if method in probe and field not in _object(probe, method):
            yield field_errors.required((*path, method, field))
    for method in ("httpGet", "tcpSocket", "grpc"):
        checked = _object(probe, method)
        if "port" in checked and not 0 < _number(checked, "port") <= 65535:
            yield field_errors.invalid((*path, method, "port"), checked["port"], "port must be between 1-65535")
    request = _object(probe, "httpGet")
    if (scheme := _text(request, "scheme")) not in ("", "HTTP", "HTTPS"):
        yield field_errors.invalid((*path, "httpGet", "scheme"), scheme, "scheme must be one of [HTTP, HTTPS]")
    for index, header in enumerate(_objects(request, "httpHeaders")):
        if not _HEADER.fullmatch(name := _text(header, "name")):
            at = (*path, "httpGet", "httpHeaders", index, "name")
            yield field_errors.invalid(at, name, "should match '^[-_A-Za-z0-9]+$'")


def _read(model: type[ModelT], given: JsonObject, field: str) -> ModelT | None:
    """A part with a model of its own; None if it is absent, or does not fit."""
    if field not in given:
        return None
    try:
        return model.model_validate(given[field])
    except ValueError:
        return None


def _object(given: JsonObject, field: str) -> JsonObject:
    found = given.get(field)
    return found if isinstance(found, dict) else {}


def _objects(given: JsonObject, field: str) -> list[Any]:
    found = given.get(field)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _text(given: JsonObject, field: str) -> str:
    found = given.get(field)
    return found if isinstance(found, str) else ""


def _number(given: JsonObject, field: str) -> int:
    found = given.get(field)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0
