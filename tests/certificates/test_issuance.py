"""A Certificate's story as a sequence of looks: what is there, and what is done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from certificate_values import START, certificate, chain, encoded, key, request, secret

from lockgate.certificates.conditions import with_condition, without_condition
from lockgate.certificates.issuance import (
    AdoptKey,
    Complete,
    DropKeys,
    DropRequests,
    Fail,
    MakeKey,
    Request,
    Rest,
    Restore,
    Seen,
    Start,
    Stuck,
    decide,
)
from lockgate.certificates.keys import KeySpec
from lockgate.certificates.request import owner_reference
from lockgate.certificates.secret import next_key
from lockgate.certificates.times import write_time
from lockgate.resources import cert_manager as cm
from lockgate.resources import core

ISSUING = {
    "type": "Issuing",
    "status": "True",
    "reason": "DoesNotExist",
    "message": "",
    "lastTransitionTime": write_time(START),
}


def issuing(spec: dict[str, Any] | None = None, **status: Any) -> cm.Certificate:
    return certificate(spec, {"conditions": [ISSUING], "nextPrivateKeySecretName": "a-xxxxx", **status})


def next_secret(of: cm.Certificate, name: str = "a-xxxxx", key_name: str = "key") -> core.Secret:
    manifest = next_key(of, key(key_name), owner_reference(of))
    manifest["metadata"]["name"] = name
    return core.Secret.model_validate(manifest)


def looks(of: cm.Certificate, **seen: Any) -> Seen:
    return Seen(**{"certificate": of, "secret": None, "next_keys": (), "requests": (), "now": START, **seen})


def ready(reason: str, message: str = "", **status: Any) -> dict[str, Any]:
    state = "True" if reason == "Issued" else "False"
    return {"conditions": [{"type": "Ready", "status": state, "reason": reason, "message": message}], **status}


def test_the_happy_path_step_by_step() -> None:
    fresh = certificate()
    start = decide(looks(fresh))
    assert isinstance(start, Start)
    assert start.violation.reason == "DoesNotExist"

    begun = issuing()
    assert decide(looks(begun)) == MakeKey(KeySpec("RSA", 2048))
    keys = (next_secret(begun),)
    asked = decide(looks(begun, next_keys=keys))
    assert isinstance(asked, Request)
    assert asked.manifest["metadata"]["name"] == "a-1"
    pending = request(begun, status=ready("Pending"))
    assert decide(looks(begun, next_keys=keys, requests=(pending,))) == Rest()
    issued = request(begun, status=ready("Issued", certificate=encoded(chain(begun))))
    done = decide(looks(begun, next_keys=keys, requests=(issued,)))
    assert isinstance(done, Complete)
    assert done.revision == 1
    assert "ca.crt" not in done.secret["data"]

    finished = certificate(status={"revision": 1, "conditions": []})
    stored = core.Secret.model_validate(done.secret)
    assert decide(looks(finished, secret=stored, next_keys=keys, requests=(issued,))) == DropKeys(("a-xxxxx",))
    rest = decide(looks(finished, secret=stored, requests=(issued,)))
    assert rest == Rest(START + timedelta(days=60))


def test_a_key_that_was_made_and_not_written_down_is_adopted() -> None:
    begun = issuing(nextPrivateKeySecretName=None)
    assert decide(looks(begun, next_keys=(next_secret(begun),))) == AdoptKey("a-xxxxx")


def test_of_several_keys_the_one_that_is_named_stays() -> None:
    begun = issuing()
    keys = (next_secret(begun), next_secret(begun, "a-yyyyy", "other"))
    assert decide(looks(begun, next_keys=keys)) == DropKeys(("a-yyyyy",))


def test_a_change_of_the_key_while_issuing_makes_another_one() -> None:
    begun = issuing({"privateKey": {"algorithm": "ECDSA"}})
    act = decide(looks(begun, next_keys=(next_secret(begun),)))
    assert act == DropKeys(("a-xxxxx",), ("spec.privateKey.algorithm",))


@pytest.mark.parametrize(
    ("spec", "key_text", "expected"),
    [
        ({"rotationPolicy": "Never"}, "key", MakeKey(KeySpec("RSA", 2048), reuse=key())),
        ({"rotationPolicy": "Always"}, "key", MakeKey(KeySpec("RSA", 2048))),
        ({}, "key", MakeKey(KeySpec("RSA", 2048))),
        ({"rotationPolicy": "Never"}, "", MakeKey(KeySpec("RSA", 2048))),
        ({"rotationPolicy": "Never"}, "garbage", MakeKey(KeySpec("RSA", 2048), undecodable="a-tls")),
    ],
)
def test_rotation_of_the_key(spec: dict[str, Any], key_text: str, expected: MakeKey) -> None:
    begun = issuing({"privateKey": spec})
    text = key() if key_text == "key" else key_text.encode()
    old = secret(certificate()).model_copy(update={"data": {"tls.key": encoded(text)}})
    assert decide(looks(begun, secret=old)) == expected


def test_a_key_that_may_not_change_but_must_needs_the_user() -> None:
    begun = issuing({"privateKey": {"rotationPolicy": "Never", "size": 4096}})
    act = decide(looks(begun, secret=secret(certificate())))
    assert isinstance(act, Stuck)
    assert act.reason == "CannotRegenerateKey"
    assert "[spec.privateKey.size]" in act.message


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (ready("Failed", "no"), "Failed", "The certificate request has failed to complete and will be retried: no"),
        (ready("Denied", "no"), "Denied", "The certificate request has failed to complete and will be retried: no"),
        (
            {"conditions": [{"type": "InvalidRequest", "status": "True", "reason": "X", "message": "bad"}]},
            "InvalidRequest",
            "The certificate request has failed to complete and will be retried: bad",
        ),
        (ready("Issued", certificate=encoded(b"junk")), "InvalidCertificate", None),
        (ready("Issued", certificate=encoded(chain(certificate(), key_name="other"))), "InvalidCertificate", None),
        (
            ready("Issued", certificate=encoded(chain(certificate(), lifetime=timedelta(0)))),
            "InvalidCertificate",
            None,
        ),
    ],
)
def test_a_request_that_failed(status: dict[str, Any], reason: str, message: str | None) -> None:
    begun = issuing()
    act = decide(looks(begun, next_keys=(next_secret(begun),), requests=(request(begun, status=status),)))
    assert isinstance(act, Fail)
    assert act.violation.reason == reason
    assert message is None or act.violation.message == message


def test_a_failure_is_waited_out_and_then_tried_with_a_new_request() -> None:
    failed_at = write_time(START)
    failed = certificate(status={"lastFailureTime": failed_at, "failedIssuanceAttempts": 2})
    old = request(failed, status=ready("Failed", failureTime=failed_at))
    waiting = looks(failed, requests=(old,), now=START + timedelta(minutes=119))
    assert decide(waiting) == Rest(START + timedelta(hours=2))
    assert isinstance(decide(replace(waiting, now=START + timedelta(hours=2))), Start)

    later = issuing()
    later = later.model_copy(
        update={
            "status": later.status.model_copy(
                update={
                    "conditions": (
                        later.status.conditions[0].model_copy(
                            update={"last_transition_time": write_time(START + timedelta(hours=2))}
                        ),
                    )
                }
            )
        }
    )
    act = decide(looks(later, next_keys=(next_secret(later),), requests=(old,)))
    assert act == DropRequests(("a-1",))


def test_a_changed_spec_is_tried_at_once() -> None:
    failed_at = write_time(START)
    old = request(certificate(), status=ready("Failed", failureTime=failed_at))
    fixed = certificate({"dnsNames": ["b.example.com"]}, {"lastFailureTime": failed_at, "failedIssuanceAttempts": 5})
    assert isinstance(decide(looks(fixed, requests=(old,))), Start)


def test_a_request_for_other_names_or_another_key_is_dropped() -> None:
    begun = issuing()
    other_names = request(certificate({"dnsNames": ["b.example.com"]}))
    other_key = request(begun, key_name="other")
    for unfit in (other_names, other_key):
        act = decide(looks(begun, next_keys=(next_secret(begun),), requests=(unfit,)))
        assert act == DropRequests(("a-1",))


def test_removed_metadata_is_written_again_without_issuing() -> None:
    good = certificate(status={"revision": 1})
    stored = secret(good)
    bare = stored.model_copy(update={"metadata": stored.metadata.model_copy(update={"labels": {}})})
    act = decide(looks(good, secret=bare, requests=(request(good),)))
    assert isinstance(act, Restore)
    assert act.secret["metadata"]["labels"] == {"controller.cert-manager.io/fao": "true"}


def test_outputs_that_are_asked_for_later_are_added_without_issuing() -> None:
    good = certificate(
        {"additionalOutputFormats": [{"type": "DER"}, {"type": "CombinedPEM"}], "privateKey": {"encoding": "PKCS8"}},
        {"revision": 1},
    )
    act = decide(looks(good, secret=secret(certificate()), requests=(request(good),)))
    assert isinstance(act, Restore)
    stored = core.Secret.model_validate(act.secret).decoded
    assert stored["tls.key"].startswith(b"-----BEGIN PRIVATE KEY-----")
    assert stored["tls-combined.pem"] == stored["tls.key"] + b"\n" + stored["tls.crt"]
    assert stored["key.der"][:1] == b"\x30"


def test_old_requests_go_once_the_certificate_is_ready() -> None:
    status = {"revision": 3, "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}
    good = certificate({"revisionHistoryLimit": 2}, status)
    requests = tuple(request(good, revision=number) for number in (1, 2, 3))
    assert decide(looks(good, secret=secret(good), requests=requests)) == DropRequests(("a-1",))


def test_one_of_two_certificates_with_one_secret_keeps_still() -> None:
    assert decide(looks(certificate(), owner=False)) == Rest()


def test_a_conditions_time_moves_with_its_status_alone() -> None:
    def conditions(of: list[Any]) -> Any:
        return cm.CertificateRequest.model_validate(
            {"spec": {"issuerRef": {"name": "x"}, "request": ""}, "status": {"conditions": of}}
        ).status.conditions

    first = with_condition((), "Ready", "False", "A", "a", now=START, generation=1)
    same = with_condition(conditions(first), "Ready", "False", "B", "b", now=START + timedelta(hours=1), generation=2)
    assert (same[0]["lastTransitionTime"], same[0]["reason"], same[0]["observedGeneration"]) == (
        write_time(START),
        "B",
        2,
    )
    other = with_condition(conditions(same), "Ready", "True", "C", "c", now=START + timedelta(hours=1))
    assert other[0]["lastTransitionTime"] == write_time(START + timedelta(hours=1))
    assert without_condition(conditions(other), "Ready") == []
