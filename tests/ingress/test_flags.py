"""The controller's flags: how its command line is read, and where it comes from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.ingress.flags import FLAGS, controller, read_arguments
from lockgate.ingress.manifests import DEFAULTS, stack_from_manifests
from lockgate.ingress.world import Settings
from lockgate.resources import networking, workloads
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey

CASES = Path(__file__).parents[1] / "cases" / "ingress" / "controller_flags.yaml"
IMAGE = "public.ecr.aws/eks/aws-load-balancer-controller:v3.5.0@sha256:0123"


@pytest.mark.parametrize("row", yaml.safe_load(CASES.read_text()), ids=lambda row: row["name"])
def test_arguments(row: dict[str, Any]) -> None:
    read = read_arguments(["--cluster-name=edge", *row.get("arguments", ())], Settings())
    before = Settings(cluster_name="edge")
    changed = {
        each.name: _plain(value)
        for each in fields(Settings)
        if (value := getattr(read.settings, each.name)) != getattr(before, each.name) and each.name != "gates"
    }
    assert changed == row.get("settings", {})
    gates, old = read.settings.gates, before.gates
    assert [f"+{name}" for name in sorted(gates - old)] + [f"-{name}" for name in sorted(old - gates)] == row.get(
        "gates", []
    )
    assert list(read.ignored) == row.get("ignored", [])
    assert dict(read.faults) == row.get("faults", {})


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value


def test_every_setting_has_a_flag_and_every_other_flag_a_reason() -> None:
    assert {flag.setting for flag in FLAGS.values() if flag.setting} == {each.name for each in fields(Settings)}
    assert [name for name, flag in FLAGS.items() if bool(flag.setting) == bool(flag.why)] == []


def test_a_cluster_needs_a_name() -> None:
    assert read_arguments(["--ingress-class=alb"], DEFAULTS).faults == (
        (0, "kubernetes cluster name must be specified"),
    )
    assert read_arguments(["--ingress-class=alb"], DEFAULTS).settings == DEFAULTS


def test_flags_come_from_the_controllers_deployment() -> None:
    sidecar = {"name": "proxy", "image": "example.com/proxy", "args": ["--cluster-name=other"]}
    own = {
        "name": "controller",
        "image": IMAGE,
        "env": [{"name": "CLUSTER", "value": "tidewater"}, {"name": "SECRET", "valueFrom": {}}],
        "args": ["--cluster-name=$(CLUSTER)", "--ingress-class=$(SECRET)", "--log-level=debug", "--nonsense"],
    }
    found = controller([_deployment("aws-load-balancer-controller", sidecar, own)], DEFAULTS)
    assert (found.settings.cluster_name, found.settings.ingress_class) == ("tidewater", "alb")
    assert [(each.code.id, each.message, each.origin) for each in found.faults] == [
        ("LG1108", "unknown flag: --nonsense", _origin("containers", 1, "args", 3)),
        ("LG1109", "without effect here: --log-level", _origin("containers", 1, "args")),
        (
            "LG1109",
            "--ingress-class: only the cluster knows the value of $(SECRET), so the flag counts as not set",
            _origin("containers", 1, "env"),
        ),
    ]


def test_the_command_counts_too() -> None:
    own = {
        "image": IMAGE,
        "command": ["/controller", "--cluster-name=edge", "--what"],
        "args": ["--ingress-class=edge"],
    }
    found = controller([_deployment("lbc", own)], DEFAULTS)
    assert (found.settings.cluster_name, found.settings.ingress_class) == ("edge", "edge")
    assert [(each.message, each.origin) for each in found.faults] == [
        ("unknown flag: --what", _origin("containers", 0, "command", 2, name="lbc"))
    ]


def _origin(*path: str | int, name: str = "aws-load-balancer-controller") -> Origin:
    return Origin(ObjectKey("apps", "Deployment", "kube-system", name), ("spec", "template", "spec", *path))


@pytest.mark.parametrize(
    "container",
    [
        {"image": IMAGE},
        {"image": IMAGE, "args": "--cluster-name=edge"},
        {"image": IMAGE, "args": [], "env": "A=b"},
        {"image": IMAGE, "args": {}, "env": ["A"]},
        {"image": 7},
    ],
)
def test_a_deployment_that_is_malformed_breaks_nothing(container: dict[str, Any]) -> None:
    found = controller([_deployment("lbc", container)], DEFAULTS)
    assert found.settings == DEFAULTS
    assert [each.message for each in found.faults] == (
        ["kubernetes cluster name must be specified"] if container["image"] == IMAGE else []
    )


def test_values_that_are_too_long_are_reported() -> None:
    found = read_arguments(["--cluster-name=edge", f"--external-managed-tags={'x' * 200_000}"], DEFAULTS)
    assert [(index, message[-38:]) for index, message in found.faults] == [
        (1, "field larger than field limit (131072)")
    ]


def test_a_second_controller_is_reported() -> None:
    one = _deployment("one", {"image": IMAGE, "args": ["--cluster-name=one"]})
    two = _deployment("two", {"image": "mirror/aws-load-balancer-controller", "args": ["--cluster-name=two"]})
    found = controller([one, two], DEFAULTS)
    assert found.settings.cluster_name == "one"
    assert [(each.code.id, each.subject) for each in found.faults] == [("LG1109", "Deployment kube-system/two")]


def test_without_its_deployment_the_defaults_apply() -> None:
    other = _deployment(
        "web", {"image": "example.com/web:aws-load-balancer-controller", "args": ["--cluster-name=web"]}
    )
    assert controller([other], DEFAULTS).settings == DEFAULTS


def test_changed_flags_rebuild_everything() -> None:
    ingress = networking.Ingress.model_validate(
        {"metadata": {"name": "web", "namespace": "default", "annotations": {"kubernetes.io/ingress.class": "alb"}}}
    )
    scheme = "--default-load-balancer-scheme=internet-facing"
    plain = stack_from_manifests([ingress])
    deployment = _deployment("lbc", {"image": IMAGE, "args": ["--cluster-name=edge", scheme]})
    after = stack_from_manifests([ingress, deployment], earlier=plain)
    balancers = [stacks.stacks[0].load_balancer for stacks in (plain, after)]
    assert [each.scheme for each in balancers if each] == ["internal", "internet-facing"]
    assert stack_from_manifests([ingress, deployment], earlier=after).stacks[0] is after.stacks[0]


def _deployment(name: str, *containers: dict[str, Any]) -> workloads.Deployment:
    metadata = {"name": name, "namespace": "kube-system"}
    return workloads.Deployment.model_validate(
        {"metadata": metadata, "spec": {"template": {"spec": {"containers": list(containers)}}}}
    )
