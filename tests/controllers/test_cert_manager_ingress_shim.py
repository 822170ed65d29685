"""Annotated Ingresses, from the first annotation to the Secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from certificate_lab import Lab, run_lab

from lockgate.resources import cert_manager as cm
from lockgate.resources import core, networking
from lockgate.resources.status import NotFound


def ingress(*hosts: str, secret: str = "web-tls", **annotations: str) -> dict[str, Any]:
    prefixed = {f"cert-manager.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "istio-system", "annotations": prefixed, "labels": {"team": "shop"}},
        "spec": {
            "tls": [{"hosts": list(hosts), "secretName": secret}],
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
        },
    }


SELF_SIGNED = {
    "apiVersion": "cert-manager.io/v1",
    "kind": "Issuer",
    "metadata": {"name": "ss", "namespace": "istio-system"},
    "spec": {"selfSigned": {}},
}


def test_from_annotation_to_secret_and_back(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.store.apply(SELF_SIGNED, manager="kubectl")
        await lab.store.apply(ingress("a.tidewater.example", issuer="ss", duration="48h"), manager="kubectl")
        created = await lab.event("CreateCertificate", 'Successfully created Certificate "web-tls"')
        assert created.source.component == "cert-manager-ingress-shim"
        made = await lab.ready("web-tls")
        owner = (await lab.store.get(networking.Ingress, "web", "istio-system")).metadata.uid
        assert [each.uid for each in made.metadata.owner_references] == [owner]
        assert made.metadata.labels == {"team": "shop"}
        assert (made.spec.dns_names, made.spec.duration) == (("a.tidewater.example",), "48h0m0s")
        assert (await lab.store.get(core.Secret, "web-tls", "istio-system")).type == "kubernetes.io/tls"

        # Another host; and the duration is forgotten with its annotation.
        await lab.store.apply(ingress("b.tidewater.example", issuer="ss"), manager="kubectl")
        await lab.event("UpdateCertificate", 'Successfully updated Certificate "web-tls"')
        changed = await lab.store.get(cm.Certificate, "web-tls", "istio-system")
        assert (changed.spec.dns_names, changed.spec.duration) == (("b.tidewater.example",), None)

        # Somebody edits the Certificate: it goes back to what the Ingress says.
        patch = {"spec": {"dnsNames": ["c.tidewater.example"]}}
        await lab.store.patch(cm.Certificate, "web-tls", "istio-system", patch)

        async def restored() -> bool:
            names = (await lab.store.get(cm.Certificate, "web-tls", "istio-system")).spec.dns_names
            return names == ("b.tidewater.example",)

        await lab.until(restored, "the host of the Ingress")

        # A new Secret is a new Certificate, and the old one goes.
        await lab.store.apply(ingress("b.tidewater.example", secret="other-tls", issuer="ss"), manager="kubectl")
        await lab.event("DeleteCertificate", 'Successfully deleted unrequired Certificate "web-tls"')
        await lab.ready("other-tls")

        await lab.store.delete(networking.Ingress, "web", "istio-system")

        async def gone() -> bool:
            try:
                await lab.store.get(cm.Certificate, "other-tls", "istio-system")
            except NotFound:
                return True
            return False

        await lab.until(gone, "the Certificate goes with its Ingress")

    run_lab(tmp_path, story)


def test_faults_are_events_of_the_ingress(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.store.apply(ingress("a.tidewater.example", issuer="ss", duration="soon"), manager="kubectl")
        reported = await lab.event("BadConfig", 'invalid ingress annotation "cert-manager.io/duration"')
        assert (reported.involved_object.kind, reported.involved_object.name, reported.type) == (
            "Ingress",
            "web",
            "Warning",
        )

    run_lab(tmp_path, story)
