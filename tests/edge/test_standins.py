"""Placeholders in manifests, as a table; and where in AWS the edge is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.edge.location import Place, locate
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.standins import fill
from lockgate.ingress.annotations.spec import PREFIX
from lockgate.resources.arns import REGIONS
from lockgate.resources.codes import objects as codes
from lockgate.resources.diagnostics import diagnose
from lockgate.resources.faults import Origin, Severity
from lockgate.resources.reader import read

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "edge" / "standins.yaml").read_text())
PLACE = Place("210987654321", "eu-west-1")


def manifests(text: str) -> Manifests:
    reading = read(text, "edge.yaml")
    broken = {"edge.yaml"} if any(each.severity is Severity.ERROR for each in reading.faults) else set()
    return Manifests(
        reading.documents, reading.faults, ("edge.yaml",), frozenset(broken), {"edge.yaml": (text.encode(), reading)}
    )


def written(case: dict[str, Any]) -> str:
    if "manifest" in case:
        return str(case["manifest"])
    lines = [f"    {PREFIX}{name}: {text!r}" for name, text in case["ingress"].items()]
    return "\n".join(
        ["apiVersion: networking.k8s.io/v1", "kind: Ingress", "metadata:", "  name: web", "  annotations:", *lines,
         "spec:", "  defaultBackend: {service: {name: web, port: {number: 80}}}", ""]
    )  # fmt: skip


def value(manifest: Any, path: str) -> Any:
    if PREFIX + path in manifest["metadata"].get("annotations", {}):
        return manifest["metadata"]["annotations"][PREFIX + path]
    if path.startswith("metadata.annotations."):
        return manifest["metadata"]["annotations"].get(path.removeprefix("metadata.annotations."))
    for part in path.split("."):
        manifest = manifest[int(part)] if isinstance(manifest, list) else manifest.get(part)
        if manifest is None:
            return None
    return manifest


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_standins(case: dict[str, Any]) -> None:
    filled = fill(manifests(written(case)), PLACE)
    (document,) = filled.documents
    found = [diagnose(each, filled.positions()) for each in filled.faults]
    warnings = [each for each in found if each.code == codes.PLACEHOLDER.id]
    errors = [each for each in found if each.severity is Severity.ERROR]
    assert sorted(each.position.line for each in warnings if each.position) == case.get("warned", [6])
    assert [each.position.line for each in errors if each.position] == case.get("refused", [])
    assert document.accepted == ("refused" not in case)
    assert (filled.broken == frozenset()) == document.accepted
    assert {path: value(document.manifest, path) for path in case.get("then", {})} == case.get("then", {})
    for path, pattern in case.get("matches", {}).items():
        assert re.fullmatch(pattern, value(document.manifest, path)), value(document.manifest, path)
    assert case.get("says", "") in warnings[0].message if warnings else True
    if document.accepted:
        assert document.resource is not None
        assert filled.positions()(Origin(document.resource.key, ("spec",))) is not None


def test_a_port_of_a_service_is_its_first() -> None:
    backends = "{service: {name: web, port: {number: '<port>'}}}"
    text = f"""apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web}}
spec: {{ingressClassName: alb, defaultBackend: {backends}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{name: http, port: 8080}}, {{name: admin, port: 9090}}]}}
"""
    ingress = fill(manifests(text), PLACE).documents[0]
    assert value(ingress.manifest, "spec.defaultBackend.service.port.number") == 8080


@pytest.mark.parametrize(
    ("reference", "objects", "made"),
    [
        ("{name: '<issuer>', kind: ClusterIssuer}", ["ClusterIssuer /letsencrypt"], "letsencrypt"),
        ("{name: '<issuer>', kind: ClusterIssuer}", ["ClusterIssuer /one", "ClusterIssuer /two"], "issuer"),
        ("{name: '<issuer>', kind: ClusterIssuer}", ["Issuer shop/letsencrypt"], "issuer"),
        ("{name: REPLACE_ME}", ["Issuer shop/letsencrypt", "Issuer other/one"], "letsencrypt"),
        ("{name: '${ISSUER}'}", ["Issuer shop/${ISSUER}"], "issuer"),
        ("{name: '${ISSUER}'}", [], "issuer"),
        ("{name: letsencrypt}", ["Issuer shop/another"], "letsencrypt"),
    ],
)
def test_a_reference_means_the_only_object_of_its_kind(reference: str, objects: list[str], made: str) -> None:
    text = f"""apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{name: web, namespace: shop}}
spec: {{secretName: web, dnsNames: [web.example], issuerRef: {reference}}}
"""
    for kind, _, name in (each.partition(" ") for each in objects):
        namespace, _, name = name.partition("/")
        text += f"---\n{{apiVersion: cert-manager.io/v1, kind: {kind}, metadata: {{name: '{name}', "
        text += f"namespace: '{namespace}'}}, spec: {{selfSigned: {{}}}}}}\n"
    filled = fill(manifests(text), PLACE)
    assert value(filled.documents[0].manifest, "spec.issuerRef.name") == made


def test_references_to_gateways_services_and_issuers_in_annotations() -> None:
    text = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec: {hosts: [a.example], gateways: ["<gateway>", mesh], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop, annotations: {cert-manager.io/cluster-issuer: "${ISSUER}"}}
spec: {defaultBackend: {service: {name: "<service>", port: {number: 80}}}}
---
{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: edge, namespace: istio-system}, spec: {}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: other}, spec: {ports: [{port: 80}]}}
---
{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: letsencrypt}, spec: {selfSigned: {}}}
"""
    service, ingress, *_ = (each.manifest for each in fill(manifests(text), PLACE).documents)
    assert service["spec"]["gateways"] == ["istio-system/edge", "mesh"]
    assert value(ingress, "metadata.annotations.cert-manager.io/cluster-issuer") == "letsencrypt"
    assert value(ingress, "spec.defaultBackend.service.name") == "web"


def test_filled_manifests_have_no_placeholders() -> None:
    for case in CASES:
        filled = fill(manifests(written(case)), PLACE)
        again = fill(filled, PLACE)
        assert again.documents == filled.documents


def test_without_stand_ins_placeholders_are_reported_and_stay() -> None:
    given = manifests(written(CASES[0]))
    filled = fill(given, PLACE, stand_in=False)
    assert [each.manifest for each in filled.documents] == [each.manifest for each in given.documents]
    (warning,) = (diagnose(each, filled.positions()) for each in filled.faults)
    assert "stands in" not in warning.message
    assert warning.position is not None and warning.position.line == 6


@pytest.mark.parametrize(
    ("texts", "place"),
    [
        ((), ("123456789012", "us-east-1")),
        (("certificate-arn: arn:aws:acm:<region>:<account>:certificate/1",), ("123456789012", "us-east-1")),
        (
            (
                "certificate-arn: 'arn:aws:acm:eu-west-9:1:x,arn:aws:acm:eu-west-2:111122223333:certificate/2'",
                "wafv2-acl-arn: arn:aws:wafv2:eu-west-3:444455556666:regional/webacl/a/b",
            ),
            ("111122223333", "eu-west-2"),
        ),
        (("certificate-arn: arn:aws:acm:eu-west-2:xxxx:certificate/xxxx",), ("123456789012", "eu-west-2")),
    ],
)
def test_the_place_is_the_first_valid_one(texts: tuple[str, ...], place: tuple[str, str]) -> None:
    lines = "\n".join(f"    {PREFIX}{text}" for text in texts)
    text = f"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n{lines}\n"
    found = locate([each.manifest for each in manifests(text).documents], Options(()))
    assert (found.account, found.region) == place


def test_issuers_roles_flags_and_images_say_the_place_too() -> None:
    issuer = {"kind": "Issuer", "spec": {"acme": {"solvers": [{"dns01": {"route53": {"region": "eu-west-2"}}}]}}}
    account = {
        "kind": "ServiceAccount",
        "metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/a"}},
    }
    container = {"image": "444455556666.dkr.ecr.eu-west-3.amazonaws.com/web:1", "args": ["--aws-region=eu-north-1"]}
    workload = {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}}
    assert locate([workload, account, issuer], Options(())) == Place("111122223333", "eu-west-2")
    assert locate([workload], Options(())) == Place("444455556666", "eu-north-1")
    assert locate([workload], Options((), region="eu-south-1")) == Place("444455556666", "eu-south-1")
    odd = {"kind": "Issuer", "spec": {"acme": {"solvers": [None, {"dns01": []}]}}}
    assert locate([odd, {"kind": "Deployment", "spec": []}], Options(())) == Place("123456789012", "us-east-1")


def test_the_table_of_regions_is_what_ec2_has() -> None:
    from lockgate.embedded.aws.ec2 import regions

    assert regions() == REGIONS
