"""Objects in, refusals and warnings out: `tests/cases/resources/refusals*.yaml`."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lockgate.resources import kinds as _kinds  # noqa: F401  # registers them
from lockgate.resources import validation
from lockgate.resources.field_errors import FieldError, denial
from lockgate.resources.model import JsonObject, Resource, kinds
from tests.resources.cases import rows


@pytest.mark.parametrize("row", [*rows("refusals.yaml"), *rows("refusals_security.yaml")])
def test_refusals(row: dict[str, Any]) -> None:
    manifest = yaml.safe_load(row["manifest"])
    model = _model(manifest)
    found = validation.validate(model, manifest)
    assert [_told(fault) for fault in found] == row.get("refusals", [])
    if all(fault.webhook for fault in found):
        resource = model.model_validate(manifest)
        assert [str(fault) for fault in validation.warnings(resource)] == row.get("warnings", [])
        assert validation.refusals(resource, manifest) == found


def _told(fault: FieldError) -> str:
    return f"{fault.webhook} | {fault}" if fault.webhook else str(fault)


def _model(manifest: JsonObject) -> type[Resource]:
    return kinds()[(manifest["apiVersion"].rpartition("/")[0], manifest["kind"])]


def _object(text: str) -> JsonObject:
    value: JsonObject = yaml.safe_load(text)
    return value


GATEWAY = "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a}, spec: %s}"
ISSUER = "{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: a, namespace: b}, spec: %s}"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (GATEWAY % "{}", "configuration is invalid: gateway must have at least one server"),
        (
            GATEWAY % "{servers: [{port: {number: 0, name: a, protocol: HTTPS}, hosts: ['*']}]}",
            "configuration is invalid: 2 errors occurred:"
            "\n\t* port number 0 must be in the range 1..65535"
            "\n\t* server must have TLS settings for HTTPS/TLS protocols\n\n",
        ),
        (ISSUER % "{}", "spec: Required value: at least one issuer must be configured"),
        (
            ISSUER % "{ca: {secretName: ''}, selfSigned: {}}",
            "[spec.selfSigned: Forbidden: may not specify more than one issuer type, "
            "spec.ca.secretName: Required value]",
        ),
    ],
)
def test_a_webhook_denies_in_its_own_form(text: str, answer: str) -> None:
    manifest = _object(text)
    assert denial(validation.validate(_model(manifest), manifest)) == answer


def test_a_fault_as_a_cause_of_a_status() -> None:
    manifest = _object("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80, nodePort: 1}]}}")
    (fault,) = validation.validate(_model(manifest), manifest)
    assert fault.cause() == {
        "reason": "FieldValueForbidden",
        "message": "Forbidden: may not be used when `type` is 'ClusterIP'",
        "field": "spec.ports[0].nodePort",
    }


@pytest.mark.parametrize(
    ("text", "unknown", "near"),
    [
        ("{kind: Service, apiVersion: v1, spec: {ports: [{prt: 80}]}}", ("spec", "ports", 0, "prt"), "port"),
        ("{kind: Service, apiVersion: v1, metdata: {}}", ("metdata",), "metadata"),
        ("{kind: Service, apiVersion: v1, spec: {colour: red}}", ("spec", "colour"), ""),
        (
            "{kind: VirtualService, apiVersion: networking.istio.io/v1, "
            "spec: {http: [{match: [{headers: {a: {exakt: b}}}]}]}}",
            ("spec", "http", 0, "match", 0, "headers", "a", "exakt"),
            "exact",
        ),
        (
            "{kind: Ingress, apiVersion: networking.k8s.io/v1, metadata: {lables: {}}}",
            ("metadata", "lables"),
            "labels",
        ),
    ],
)
def test_unknown_fields(text: str, unknown: tuple[str | int, ...], near: str) -> None:
    manifest = _object(text)
    assert validation.unknown_fields(_model(manifest), manifest) == [unknown]
    assert validation.nearest(_model(manifest), unknown) == near


@pytest.mark.parametrize(
    "text",
    [
        "{kind: Deployment, apiVersion: apps/v1, spec: {template: {spec: {anything: {goes: 1}}}, paused: true}}",
        "{kind: ClusterRole, apiVersion: rbac.authorization.k8s.io/v1, rules: [{verbs: [get]}]}",
        "{kind: IstioOperator, apiVersion: install.istio.io/v1alpha1, spec: {values: {a: 1}, components: {x: {}}}}",
        "{kind: Pod, apiVersion: v1, spec: {containers: [{name: a, resources: {limits: {cpu: 1}}}], priority: 1}}",
        "{kind: ConfigMap, apiVersion: v1, data: {any.key: x}}",
    ],
)
def test_what_is_only_stored_has_no_unknown_fields(text: str) -> None:
    manifest = _object(text)
    assert validation.unknown_fields(_model(manifest), manifest) == []
