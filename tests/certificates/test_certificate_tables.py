"""The rows of tests/cases/certificates."""

from __future__ import annotations

from typing import Any

import pytest
from certificate_values import START, certificate, chain, encoded, key, request, secret, table

from lockgate.certificates import backoff, policy, solvers
from lockgate.certificates.ingress_shim import BadConfig, shim
from lockgate.certificates.request import load_chain
from lockgate.certificates.times import go_duration, parse_duration, write_time
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, networking


@pytest.mark.parametrize("row", table("solvers"), ids=lambda row: row["name"])
def test_solvers(row: dict[str, Any]) -> None:
    choices = [cm.Solver.model_validate(each) for each in row["solvers"]]
    for name, expected in row["picks"].items():
        chosen = solvers.pick(
            choices,
            name.removeprefix("*."),
            wildcard=name.startswith("*."),
            labels=row.get("labels", {}),
            offered=("dns-01",),
        )
        assert (None if chosen is None else next(i for i, each in enumerate(choices) if each is chosen)) == expected


@pytest.mark.parametrize("row", table("renewal"), ids=str)
def test_renewal(row: dict[str, Any]) -> None:
    wanted = certificate(row["spec"])
    (leaf, *_) = load_chain(chain(wanted, lifetime=parse_duration(row["lifetime"])))
    assert go_duration(policy.renewal_time(wanted.spec, leaf) - START) == row["after"]


@pytest.mark.parametrize("row", table("backoff"), ids=str)
def test_backoff(row: dict[str, Any]) -> None:
    failed = certificate(status={"lastFailureTime": write_time(START), "failedIssuanceAttempts": row["failures"]})
    until = backoff.next_attempt(failed)
    assert until is not None
    assert go_duration(until - START) == row["after"]


@pytest.mark.parametrize("row", table("policy"), ids=lambda row: row["name"])
def test_policy(row: dict[str, Any]) -> None:
    issued = certificate()
    wanted = certificate(row.get("spec"))
    given = policy.Input(
        wanted,
        _secret(issued, row),
        _request(issued, row),
        START + parse_duration(row.get("at", "1h")),
    )
    found = policy.trigger(given)
    assert (found.reason if found else None) == row["trigger"]
    if "message" in row:
        assert found is not None
        assert _agrees(found.message, row["message"])
    ready = policy.readiness(given)
    assert (ready.reason if ready else None) == row.get("ready", row["trigger"])
    if "ready_message" in row:
        assert ready is not None
        assert ready.message == row["ready_message"]


def _secret(issued: cm.Certificate, row: dict[str, Any]) -> core.Secret | None:
    change = row.get("secret", {})
    if change is None:
        return None
    found = secret(issued)
    data = dict(change.get("data", found.data))
    data.pop(change.get("without"), None)
    for name, value in change.get("set", {}).items():
        data[name] = encoded(key("other") if value == "other-key" else value.encode())
    annotations = change.get("annotations", {**found.metadata.annotations, **change.get("annotate", {})})
    metadata = found.metadata.model_copy(update={"annotations": annotations})
    return found.model_copy(update={"data": data, "metadata": metadata})


def _request(issued: cm.Certificate, row: dict[str, Any]) -> cm.CertificateRequest | None:
    change = row.get("request", {})
    if change is None:
        return None
    found = request(issued, key_name="other" if "key" in change else "key")
    if change.get("garbage"):
        return found.model_copy(update={"spec": found.spec.model_copy(update={"request": encoded(b"garbage")})})
    return found


def _agrees(message: str, wanted: str) -> bool:
    return message.startswith(wanted[:-3]) if wanted.endswith("...") else message == wanted


@pytest.mark.parametrize("row", table("ingress_shim"), ids=lambda row: row["name"])
def test_ingress_shim(row: dict[str, Any]) -> None:
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "annotations": row["annotations"]}
    ingress = networking.Ingress.model_validate(
        {"metadata": metadata | row.get("metadata", {}), "spec": {"tls": row["tls"]}}
    )
    there = [
        certificate(
            {"secretName": name, **each["spec"]},
            name=name,
            ownerReferences=[{"apiVersion": "a", "kind": "Ingress", "name": "web", "uid": "u", "controller": True}]
            if each["owned"]
            else [],
        )
        for name, each in row.get("there", {}).items()
    ]
    try:
        done = shim(ingress, there)
    except BadConfig as problem:
        assert str(problem) == row.get("bad")
        return
    assert row.get("bad") is None
    for made, wanted in ((done.create, row.get("create", {})), (done.update, row.get("update", {}))):
        assert {each["metadata"]["name"]: each["spec"] for each in made} == {
            name: {
                "secretName": name,
                "issuerRef": {"name": "le", "kind": "ClusterIssuer", "group": "cert-manager.io"},
                "usages": ["digital signature", "key encipherment"],
                **spec,
            }
            for name, spec in wanted.items()
        }
    assert list(done.delete) == row.get("delete", [])
    assert list(done.skipped) == row.get("skipped", [])
