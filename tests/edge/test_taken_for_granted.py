"""What an application's repository has not, by the real command: each edge comes up, and says what it made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge.conftest import Start

pytestmark = pytest.mark.edge


def test_placeholders_everywhere_are_served_and_reported(up: Start, manifests: Path) -> None:
    file = manifests / "ingress.yaml"
    arn = "arn:aws:acm:<region>:<account-ID>:certificate/*****"
    text = file.read_text()
    before = text[text.index("arn:aws:acm") :].split()[0]
    file.write_text(text.replace(before, arn))
    issuer = manifests / "certificates.yaml"
    issuer.write_text(issuer.read_text().replace("hostedZoneID: Z0QUAY00000000000001", "hostedZoneID: <zone id>"))
    line = next(n for n, each in enumerate(file.read_text().split("\n"), 1) if "certificate-arn" in each)
    edge = up(manifests)
    warning = edge.until("certificate-arn")
    assert warning.startswith(f"{file}:{line}:")
    assert "placeholder" in warning and "In production" in warning
    edge.ready()
    assert edge.curl("-o", "/dev/null", "-w", "%{http_code}", "https://quay.example/") == "200"
    # A placeholder that comes with a saved file, too; the load balancer stays.
    file.write_text(file.read_text().replace(arn, "${CERTIFICATE_ARN}"))
    edge.until("${CERTIFICATE_ARN}")
    edge.wait(
        until=lambda: edge.curl("-o", "/dev/null", "-w", "%{http_code}", "https://quay.example/") == "200",
        what="served after the change",
    )
