"""What happens between a Challenge and its DNS record, above all when it goes wrong."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from certificate_lab import (
    ACCESS_KEY,
    LETS_ENCRYPT,
    NOW,
    ROUTE53_SECRET,
    SECRET_KEY,
    ZONE_ID,
    Lab,
    authority,
    run_lab,
    secret,
)
from cryptography import x509

from lockgate.resources import cert_manager as cm
from lockgate.resources import core
from lockgate.resources.meta import condition
from lockgate.resources.status import NotFound

ROUTE53 = {
    "region": "ap-northeast-2",
    "hostedZoneID": ZONE_ID,
    "accessKeyID": ACCESS_KEY,
    "secretAccessKeySecretRef": {"name": "route53-secret", "key": "secret-access-key"},
}


def le(*, solver: dict[str, Any] | None = None, kind: str = "ClusterIssuer", **route53: Any) -> dict[str, Any]:
    spec = {name: value for name, value in {**ROUTE53, **route53}.items() if value is not None}
    manifest: dict[str, Any] = {
        "apiVersion": "cert-manager.io/v1",
        "kind": kind,
        "metadata": {"name": "le"},
        "spec": {
            "acme": {
                "server": LETS_ENCRYPT,
                "privateKeySecretRef": {"name": "account"},
                "solvers": [solver or {"dns01": {"route53": spec}}],
            }
        },
    }
    if kind == "Issuer":
        manifest["metadata"]["namespace"] = "istio-system"
    return manifest


def web(name: str = "web", kind: str = "ClusterIssuer", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": "istio-system"},
        "spec": {
            "secretName": name,
            "dnsNames": ["a.tidewater.example"],
            "issuerRef": {"name": "le", "kind": kind},
            **spec,
        },
    }


async def put(lab: Lab, *manifests: dict[str, Any]) -> None:
    for manifest in manifests:
        await lab.store.apply(manifest, manager="kubectl")


@pytest.mark.parametrize(
    ("issuer", "message"),
    [
        (
            le(),
            'Error presenting challenge: error getting route53 secret access key: secret "route53-secret" not found',
        ),
        (
            le(secretAccessKeySecretRef={"name": "other", "key": "nothing"}),
            "Error presenting challenge: error getting route53 secret access key: key 'nothing' not found in secret",
        ),
        (
            le(secretAccessKeySecretRef={"name": "other", "key": "empty"}),
            'Error presenting challenge: error getting route53 secret access key: no data found in Secret "other" at '
            'Key "empty"',
        ),
        (
            le(secretAccessKeySecretRef=None),
            "Error presenting challenge: error instantiating route53 challenge solver: unable to construct route53 "
            "provider: only one of access and secret key was provided",
        ),
        (
            le(kind="Issuer", accessKeyID=None, secretAccessKeySecretRef=None),
            "Error presenting challenge: error instantiating route53 challenge solver: unable to construct route53 "
            "provider: empty credentials; perhaps you meant to enable ambient credentials?",
        ),
        (
            le(
                accessKeyID=None,
                secretAccessKeySecretRef=None,
                auth={"kubernetes": {"serviceAccountRef": {"name": "x"}}},
            ),
            "Error presenting challenge: error instantiating route53 challenge solver: unable to construct route53 "
            "provider: role must be set when web identity token is set",
        ),
        (
            le(solver={"dns01": {"cloudflare": {"apiTokenSecretRef": {"name": "x", "key": "y"}}}}),
            "Error presenting challenge: the DNS provider cloudflare is not served here: use route53",
        ),
        (
            le(hostedZoneID="ZNOTHERE", accessKeyID=None, secretAccessKeySecretRef=None),
            "Error presenting challenge: failed to change Route 53 record set: operation error Route 53: "
            "ChangeResourceRecordSets, https response error, api error NoSuchHostedZone: ",
        ),
    ],
)
def test_the_reason_why_a_record_cannot_be_written_is_reported(
    tmp_path: Path, issuer: dict[str, Any], message: str
) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(secret("other", "cert-manager", empty=""))
        await put(lab, issuer, web(kind=issuer["kind"]))
        event = await lab.event("PresentError")
        assert event.message.startswith(message)

        async def reported() -> bool:
            return any(each.status.reason for each in await lab.store.list(cm.Challenge))

        await lab.until(reported, "the challenge's reason")
        (challenge,) = await lab.store.list(cm.Challenge)
        assert "ZNOTHERE" not in challenge.status.reason

    run_lab(tmp_path, story)


def test_credentials_that_come_late_are_used(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await put(lab, le(), web())
        await lab.event("PresentError")
        await lab.apply(ROUTE53_SECRET)
        await lab.ready("web")
        assert lab.asked[-1].secret_access_key == SECRET_KEY

    run_lab(tmp_path, story)


def test_a_name_without_a_zone_waits_until_the_zone_is_created(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await put(lab, le(hostedZoneID=None), web(dnsNames=["a.other.example"]))
        event = await lab.event("PresentError")
        assert event.message.startswith(
            "Error presenting challenge: failed to determine Route 53 hosted zone ID: error finding zone from fqdn: "
        )
        await lab.api.create_hosted_zone("other.example", "Z0OTHER0000000000000")
        await lab.ready("web")

    run_lab(tmp_path, story)


def test_the_deepest_zone_gets_the_record(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await lab.api.create_hosted_zone("a.tidewater.example", "Z0DEEP00000000000000")
        await put(lab, le(hostedZoneID=None), web())
        await lab.ready("web")
        await lab.event("DomainVerified")

    run_lab(tmp_path, story)


def test_a_simple_record_in_the_way_is_reported_and_its_removal_noticed(tmp_path: Path) -> None:
    name = "_acme-challenge.a.tidewater.example"

    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        record = {"Name": name, "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"stale"'}]}

        async def change(action: str) -> None:
            batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
            await lab.aws.call("route53", "change_resource_record_sets", HostedZoneId=ZONE_ID, ChangeBatch=batch)

        await change("CREATE")
        await put(lab, le(), web())
        event = await lab.event("PresentError")
        assert "cannot be created because a non multivalue answer rrset exists with the same name and type" in (
            event.message
        )
        await change("DELETE")
        await lab.ready("web")

    run_lab(tmp_path, story)


def test_a_record_behind_an_alias_is_written_where_it_leads(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await lab.api.create_hosted_zone("validations.example", "Z0VALIDATIONS0000000")
        record = {
            "Name": "_acme-challenge.a.tidewater.example",
            "Type": "CNAME",
            "TTL": 60,
            "ResourceRecords": [{"Value": "a.validations.example."}],
        }
        batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        await lab.aws.call("route53", "change_resource_record_sets", HostedZoneId=ZONE_ID, ChangeBatch=batch)
        spec = {name: value for name, value in ROUTE53.items() if name != "hostedZoneID"}
        await put(lab, le(solver={"dns01": {"cnameStrategy": "Follow", "route53": spec}}), web())
        await lab.ready("web")

    run_lab(tmp_path, story)


def test_a_name_that_the_ca_refuses_fails_the_certificate(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await put(lab, le(), web(dnsNames=["under_score.tidewater.example"]))
        failed = await lab.condition(cm.Certificate, "web", "istio-system", "Issuing", "Failed")
        assert failed.status.last_failure_time
        (order,) = await lab.store.list(cm.Order)
        assert order.status.state == "errored"
        assert order.status.reason.startswith(
            "Failed to create Order: 400 urn:ietf:params:acme:error:rejectedIdentifier: "
        )
        event = (await lab.events("Certificate", "web"))[-1]
        assert event[:3] == ("cert-manager-certificates-issuing", "Warning", "Failed")
        assert event[3].startswith("The certificate request has failed to complete and will be retried: ")

        await put(lab, web(dnsNames=["fine.tidewater.example"]))  # fixed: no back-off
        ready = await lab.ready("web")
        assert ready.status.failed_issuance_attempts is None
        assert ready.status.last_failure_time is None

    run_lab(tmp_path, story)


def test_a_failed_validation_is_reported_and_retried_after_an_hour(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        caa = {
            "Name": "a.tidewater.example",
            "Type": "CAA",
            "TTL": 60,
            "ResourceRecords": [{"Value": '0 issue "amazon.com"'}],
        }

        async def change(action: str) -> None:
            batch = {"Changes": [{"Action": action, "ResourceRecordSet": caa}]}
            await lab.aws.call("route53", "change_resource_record_sets", HostedZoneId=ZONE_ID, ChangeBatch=batch)

        await change("CREATE")
        await put(lab, le(), web())
        await lab.condition(cm.Certificate, "web", "istio-system", "Issuing", "Failed")
        (challenge,) = await lab.store.list(cm.Challenge)
        assert challenge.status.state == "invalid"
        assert challenge.status.reason == (
            "Error accepting authorization: acme: authorization error for a.tidewater.example: 403 "
            "urn:ietf:params:acme:error:caa: CAA record for a.tidewater.example prevents issuance"
        )
        (request,) = await lab.store.list(cm.CertificateRequest)
        ready = condition(request.status.conditions, "Ready")
        assert ready is not None
        assert ready.message.endswith('to become ready: order is in "invalid" state: ')

        async def tidied() -> bool:
            return not await lab.txt_records()

        await lab.until(tidied, "the record gone")
        await change("DELETE")
        lab.clock.ahead = timedelta(minutes=59)
        await put(lab, web(revisionHistoryLimit=2))
        assert (await lab.store.get(cm.Certificate, "web", "istio-system")).status.revision is None
        lab.clock.ahead = timedelta(minutes=61)
        await put(lab, web(revisionHistoryLimit=3))
        await lab.ready("web")

    run_lab(tmp_path, story)


def test_no_solver_for_a_name_leaves_the_order_waiting(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        solver = {"dns01": {"route53": ROUTE53}, "selector": {"dnsZones": ["other.example"]}}
        await put(lab, le(solver=solver), web())
        event = await lab.event("Solver")
        assert event.message.startswith("Failed to determine a valid solver configuration for the set of domains")
        (order,) = await lab.store.list(cm.Order)
        assert order.status.state == "pending"

    run_lab(tmp_path, story)


def test_a_certificate_is_renewed_when_its_time_comes(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await put(lab, le(), web())
        first = await lab.ready("web")
        before = await lab.store.get(core.Secret, "web", "istio-system")
        lab.clock.ahead = timedelta(days=61)
        await put(lab, web(revisionHistoryLimit=2))

        async def renewed() -> bool:
            return (await lab.store.get(cm.Certificate, "web", "istio-system")).status.revision == 2

        await lab.until(renewed, "revision 2")
        second = await lab.ready("web")
        after = await lab.store.get(core.Secret, "web", "istio-system")
        assert before.data["tls.key"] != after.data["tls.key"]  # rotationPolicy Always
        assert str(second.status.not_after) > str(first.status.not_after)
        events = await lab.events("Certificate", "web")
        assert any(each[3].startswith("Renewing certificate as renewal was scheduled at ") for each in events)

    run_lab(tmp_path, story)


def test_a_manual_renewal_keeps_the_key_that_may_not_rotate(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await put(lab, le(), web(privateKey={"rotationPolicy": "Never"}))
        certificate = await lab.ready("web")
        before = await lab.store.get(core.Secret, "web", "istio-system")
        issuing = {
            "type": "Issuing",
            "status": "True",
            "reason": "ManuallyTriggered",
            "message": "Certificate re-issuance manually triggered",
            "lastTransitionTime": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        conditions = [each.model_dump(by_alias=True, exclude_defaults=True) for each in certificate.status.conditions]
        await lab.store.patch_status(cm.Certificate, "web", "istio-system", {"conditions": [*conditions, issuing]})

        async def again() -> bool:
            return (await lab.store.get(cm.Certificate, "web", "istio-system")).status.revision == 2

        await lab.until(again, "revision 2")
        after = await lab.store.get(core.Secret, "web", "istio-system")
        assert after.data["tls.key"] == before.data["tls.key"]
        assert after.data["tls.crt"] != before.data["tls.crt"]
        await lab.event("Reused")

    run_lab(tmp_path, story)


def test_of_two_certificates_with_one_secret_the_older_is_served(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await put(lab, le(), web("first", secretName="shared"))
        await lab.ready("first")
        await put(lab, web("second", secretName="shared", dnsNames=["b.tidewater.example"]))
        await lab.condition(cm.Certificate, "second", "istio-system", "Ready", "IncorrectCertificate")
        found = await lab.store.get(core.Secret, "shared", "istio-system")
        assert found.metadata.annotations["cert-manager.io/certificate-name"] == "first"
        await lab.store.delete(cm.Certificate, "first", "istio-system")
        await lab.ready("second")
        found = await lab.store.get(core.Secret, "shared", "istio-system")
        assert found.metadata.annotations["cert-manager.io/certificate-name"] == "second"

    run_lab(tmp_path, story)


def test_deleting_a_certificate_on_its_way_cleans_up_and_leaves_finished_secrets(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await put(lab, le(), web())
        await lab.ready("web")
        await lab.store.delete(cm.Certificate, "web", "istio-system")
        assert await lab.store.get(core.Secret, "web", "istio-system")
        await put(lab, web("stuck", dnsNames=["a.elsewhere.example"]))
        await lab.event("PresentError")
        await lab.store.delete(cm.Certificate, "stuck", "istio-system")

        async def gone() -> bool:
            return not [
                each
                for kind in (cm.CertificateRequest, cm.Order, cm.Challenge)
                for each in await lab.store.list(kind)
                if each.name.startswith("stuck")
            ]

        await lab.until(gone, "what it owned gone")
        with pytest.raises(NotFound):
            await lab.store.get(core.Secret, "stuck", "istio-system")

    run_lab(tmp_path, story)


def test_a_clean_up_that_is_impossible_is_reported_and_retried(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        solver = {"dns01": {"route53": ROUTE53}, "waitInsteadOfSelfCheck": "1h"}
        await put(lab, le(solver=solver), web())
        await lab.event("Presented")

        async def waiting() -> bool:
            return any("without self-check" in each.status.reason for each in await lab.store.list(cm.Challenge))

        await lab.until(waiting, "the wait in the challenge's reason")
        await lab.store.delete(cm.ClusterIssuer, "le")
        await lab.store.delete(cm.Certificate, "web", "istio-system")
        event = await lab.event("CleanUpError")
        assert event.message.startswith("Error cleaning up challenge: ")
        assert await lab.store.list(cm.Challenge)
        await put(lab, le(solver=solver))

        async def gone() -> bool:
            return not await lab.store.list(cm.Challenge) and not await lab.txt_records()

        await lab.until(gone, "challenge and record gone")

    run_lab(tmp_path, story)


def test_two_certificates_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        names = [f"n{number}" for number in range(6)]
        await put(lab, le(), *(web(name, dnsNames=[f"{name}.tidewater.example"]) for name in names))
        await put(lab, web("broken", dnsNames=["*.*.tidewater.example"]))
        for name in names:
            await lab.ready(name)
        await lab.condition(cm.Certificate, "broken", "istio-system", "Issuing", "Failed")

    run_lab(tmp_path, story)


def test_a_role_is_assumed_with_the_issuers_credentials(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.apply(ROUTE53_SECRET)
        await put(lab, le(role="arn:aws:iam::123456789012:role/dns"), web())
        await lab.ready("web")
        assumed = lab.asked[-1]
        assert assumed.session_token
        assert assumed.access_key_id != ACCESS_KEY

    run_lab(tmp_path, story)


@pytest.mark.parametrize("kind", ["ClusterIssuer", "Issuer"])
def test_a_role_is_assumed_with_a_token_of_a_service_account(tmp_path: Path, kind: str) -> None:
    namespace = "cert-manager" if kind == "ClusterIssuer" else "istio-system"

    async def story(lab: Lab) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "dns", "namespace": namespace}}
        await lab.store.create(account)
        issuer = le(
            kind=kind,
            accessKeyID=None,
            secretAccessKeySecretRef=None,
            role="arn:aws:iam::123456789012:role/dns",
            auth={"kubernetes": {"serviceAccountRef": {"name": "dns"}}},
        )
        await put(lab, issuer, web(kind=kind))
        await lab.ready("web")
        assert lab.asked[-1].session_token

    run_lab(tmp_path, story)


def test_a_missing_service_account_is_reported(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        auth = {"kubernetes": {"serviceAccountRef": {"name": "dns", "audiences": ["other"]}}}
        issuer = le(accessKeyID=None, secretAccessKeySecretRef=None, role="arn:aws:iam::123456789012:role/a", auth=auth)
        await put(lab, issuer, web())
        event = await lab.event("PresentError")
        assert 'failed to request token for cert-manager/dns: serviceaccounts "dns" not found' in event.message
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "dns", "namespace": "cert-manager"},
        }
        await lab.store.create(account)
        await lab.ready("web")

    run_lab(tmp_path, story)


# --- another CA --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed")
def test_another_acme_server_is_really_contacted(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        with _pebble(tmp_path, lab) as url:
            await lab.apply(ROUTE53_SECRET)
            issuer = le()
            issuer["spec"]["acme"]["server"] = url
            issuer["spec"]["acme"]["caBundle"] = _base64((tmp_path / "root.pem").read_bytes())
            await put(lab, issuer, web(dnsNames=["tidewater.example", "*.tidewater.example"]))
            await lab.ready("web")
        found = await lab.store.get(core.Secret, "web", "istio-system")
        leaf = x509.load_pem_x509_certificates(found.decoded["tls.crt"])[0]
        assert "Pebble" in leaf.issuer.rfc4514_string()
        ready = condition((await lab.store.get(cm.ClusterIssuer, "le")).status.conditions, "Ready")
        assert ready is not None
        assert ready.message == "The ACME account was registered with the ACME server"

    run_lab(tmp_path, story)


@contextmanager
def _pebble(folder: Path, lab: Lab) -> Iterator[str]:
    pebble = folder / "pebble"
    pebble.mkdir()
    root, (chain, key) = authority(pebble)
    (folder / "root.pem").write_text(root.root_pem)
    port, management = _free_port(), _free_port()
    (pebble / "config.json").write_text(
        f"""{{"pebble": {{"listenAddress": "127.0.0.1:{port}", "managementListenAddress": "127.0.0.1:{management}",
        "certificate": "{chain}", "privateKey": "{key}", "httpPort": 5002, "tlsPort": 5001, "ocspResponderURL": "",
        "externalAccountBindingRequired": false}}}}"""
    )
    environment = {
        **os.environ,
        "PEBBLE_VA_NOSLEEP": "1",
        "PEBBLE_WFE_NONCEREJECT": "20",
        "PEBBLE_AUTHZREUSE": "0",
    }
    command = [
        "pebble",
        "-config",
        str(pebble / "config.json"),
        "-dnsserver",
        f"{lab.names.host}:{lab.names.port}",
    ]
    with (pebble / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield f"https://127.0.0.1:{port}/dir"
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()
