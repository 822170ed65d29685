"""The OpenAPI documents: made of the models, complete, and with what kubectl looks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lockgate.resources import cert_manager as cm
from lockgate.resources import core, istio, workloads
from lockgate.resources.merge_keys import list_keys, merge_key
from lockgate.resources.model import JsonObject, Resource, kinds
from lockgate.resources.schema import component, openapi

GROUP_VERSIONS = sorted({(model.KIND.group, version) for model in kinds().values() for version in model.KIND.versions})


@pytest.mark.parametrize(("group", "version"), GROUP_VERSIONS)
def test_a_document_is_complete(group: str, version: str) -> None:
    document = openapi(group, version)
    json.dumps(document)
    schemas = document["components"]["schemas"]
    for reference in _values(document, "$ref"):
        assert reference.removeprefix("#/components/schemas/") in schemas
    served = {one.KIND.kind for one in kinds().values() if one.KIND.group == group and version in one.KIND.versions}
    assert served == {one["kind"] for found in _values(schemas, "x-kubernetes-group-version-kind") for one in found}


def _values(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for item in value.values():
            yield from _values(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, name)


def test_patch_says_that_it_validates_and_dries() -> None:
    """Else kubectl validates by itself, and refuses `--dry-run=server`."""
    patch = openapi("networking.istio.io", "v1beta1")["paths"][
        "/apis/networking.istio.io/v1beta1/namespaces/{namespace}/gateways/{name}"
    ]["patch"]
    assert {"dryRun", "fieldValidation", "fieldManager", "force"} == {one["name"] for one in patch["parameters"]}
    assert patch["x-kubernetes-action"] == "patch"
    assert patch["x-kubernetes-group-version-kind"] == {
        "group": "networking.istio.io",
        "version": "v1beta1",
        "kind": "Gateway",
    }


def _at(model: type[Resource], *path: str) -> JsonObject:
    name, schemas = component(model, model.KIND.versions[0])
    schema: JsonObject = schemas[name]
    for part in path:
        schema = schema["properties"][part] if "properties" in schema else schema["items"]["properties"][part]
    return schema


def test_a_schema_says_what_a_model_says() -> None:
    tls = _at(istio.Gateway, "spec", "servers", "tls")
    assert tls["properties"]["mode"]["enum"][:2] == ["PASSTHROUGH", "SIMPLE"]
    assert tls["properties"]["httpsRedirect"] == {"type": "boolean"}
    assert "`" not in tls["description"]
    port = _at(core.Service, "spec", "ports")
    assert port["items"]["required"] == ["port"]
    assert port["items"]["properties"]["protocol"]["default"] == "TCP"
    assert port["items"]["properties"]["targetPort"]["x-kubernetes-int-or-string"] is True
    assert "targetPort" in port["items"]["description"]
    headers = _at(istio.VirtualService, "spec", "http", "match", "headers")
    assert headers["additionalProperties"]["properties"]["exact"] == {"type": "string"}
    assert _at(workloads.Deployment, "spec", "template")["x-kubernetes-preserve-unknown-fields"] is True


def test_lists_say_how_they_merge() -> None:
    ports = _at(core.Service, "spec", "ports")
    assert ports["x-kubernetes-patch-merge-key"] == "port"
    assert ports["x-kubernetes-patch-strategy"] == "merge"
    assert ports["x-kubernetes-list-map-keys"] == ["port", "protocol"]
    assert _at(istio.Gateway, "spec", "servers")["x-kubernetes-list-type"] == "atomic"
    _, schemas = component(core.Service, "v1")
    (meta,) = [schema for name, schema in schemas.items() if name.endswith("ObjectMeta")]
    assert meta["properties"]["finalizers"]["x-kubernetes-list-type"] == "set"
    assert "x-kubernetes-patch-merge-key" not in meta["properties"]["finalizers"]
    assert meta["properties"]["ownerReferences"]["x-kubernetes-patch-merge-key"] == "uid"


@pytest.mark.parametrize(
    ("model", "path", "patch", "keys"),
    [
        (workloads.Deployment, "spec.template.spec.containers", "name", ("name",)),
        (workloads.Deployment, "spec.template.spec.containers.env", "name", ("name",)),
        (workloads.Deployment, "spec.template.spec.containers.ports", "containerPort", ("containerPort", "protocol")),
        (workloads.Deployment, "spec.template.spec.initContainers.volumeMounts", "mountPath", ("mountPath",)),
        (workloads.Deployment, "spec.template.spec.containers.args", None, None),
        (workloads.Deployment, "spec.template.spec.volumes", "name", ("name",)),
        (workloads.Deployment, "spec.containers", None, None),
        (workloads.CronJob, "spec.jobTemplate.spec.template.spec.containers", "name", ("name",)),
        (core.Pod, "spec.containers", "name", ("name",)),
        (core.Service, "spec.ports", "port", ("port", "protocol")),
        (core.Service, "status.conditions", "type", ("type",)),
        (core.ServiceAccount, "imagePullSecrets", "name", None),
        (cm.Certificate, "spec.dnsNames", None, None),
        (cm.Certificate, "metadata.finalizers", "", ()),
    ],
)
def test_merge_keys(model: type[Resource], path: str, patch: str | None, keys: tuple[str, ...] | None) -> None:
    at = tuple(path.split("."))
    assert merge_key(model, at) == patch
    assert list_keys(model, at) == keys


def test_an_unserved_version() -> None:
    with pytest.raises(KeyError):
        openapi("networking.k8s.io", "v1beta1")
