"""Fingerprints: the same finding has the same one when lines move, and no two findings of a run share one."""

from __future__ import annotations

from lockgate.check.findings import Finding, check
from lockgate.edge.from_manifests import from_manifests
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.resources.reader import read

MANIFESTS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [istio-system/one, istio-system/two, istio-system/two]
  http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.example]
  gateways: [istio-system/one]
  http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]
"""


def found(text: str, file: str = "a.yaml") -> dict[str, Finding]:
    reading = read(text, file)
    manifests = Manifests(reading.documents, reading.faults, (file,), frozenset(), {})
    findings = check(from_manifests(manifests, Options(())), manifests.positions())
    by_fingerprint = {each.fingerprint: each for each in findings}
    assert len(by_fingerprint) == len(findings)
    return by_fingerprint


def test_it_stays_when_lines_move() -> None:
    before, after = (
        found(MANIFESTS),
        found(MANIFESTS.replace("spec:", "# a comment\nspec:").replace("\n---", "\n\n---")),
    )
    assert list(before) == list(after)
    assert [each.position for each in before.values()] != [each.position for each in after.values()]


def test_it_stays_when_objects_change_places_or_files() -> None:
    first, second = MANIFESTS.split("---")
    assert set(found(MANIFESTS)) == set(found(f"{second}---{first}", "b.yaml"))


def test_it_stays_when_an_entry_is_written_before() -> None:
    fewer = set(found(MANIFESTS))
    more = set(found(MANIFESTS.replace("[istio-system/one, ", "[istio-system/zero, istio-system/one, ")))
    assert fewer < more
    assert len(more - fewer) == 1


def test_another_object_and_another_value_have_another() -> None:
    assert not set(found(MANIFESTS)) & set(found(MANIFESTS.replace("namespace: shop", "namespace: stop")))
