"""What has no effect here is said wherever a user looks, for as long as the manifests ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge.conftest import Start, Up

pytestmark = pytest.mark.edge

POLICY = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: closed, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: quay}
spec: {schedule: "0 3 * * *", jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: busybox}]}}}}}
"""


def lines(edge: Up, code: str) -> list[int]:
    """Where the faults of a code are."""
    return [each["position"]["line"] for each in edge.status()["faults"] if each["code"] == code]


def test_a_policy_that_is_not_enforced_is_never_passed_in_silence(up: Start, manifests: Path) -> None:
    file = manifests / "policy.yaml"
    file.write_text(POLICY)
    edge = up(manifests).ready()
    assert "quay-service" in edge.curl("https://quay.example/")

    sentence = "PeerAuthentication istio-system/closed is not enforced: applications have no sidecar here"
    warned = [line for line in edge.lines if "[LG0016]" in line]
    assert len(warned) == 1
    assert "policy.yaml:1:1: warning:" in warned[0] and sentence in warned[0]
    assert [
        line for line in edge.lines if "CronJob quay/nightly runs no container: counted as completed at once" in line
    ]
    assert sentence in edge.lockgate("status", check=False).stderr + edge.lockgate("status", check=False).stdout

    states = {(each["kind"], each["name"]): each["state"] for each in edge.status()["objects"]}
    assert states["PeerAuthentication", "closed"] == "stored"

    # It moves with its line, and goes with its object.
    file.write_text(f"# why\n\n{POLICY}")
    edge.wait(until=lambda: lines(edge, "LG0016") == [3], what="the new line")
    file.write_text(POLICY.partition("---")[2])
    edge.wait(until=lambda: lines(edge, "LG0016") == [], what="no policy, no warning")

    applied = edge.lockgate("exec", "--", "kubectl", "apply", "-f", str(_written(manifests)))
    assert f"Warning: {sentence}" in applied.stderr


def _written(folder: Path) -> Path:
    file = folder.parent / "by-hand.yaml"
    file.write_text(POLICY.partition("---")[0])
    return file
