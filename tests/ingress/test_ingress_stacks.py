"""Stacks: names and hashes, where each part comes from, what is built again when one Ingress changes."""

from __future__ import annotations

from typing import Any

import yaml
from ingress_cases import CASES, Row

from lockgate.ingress.manifests import stack_from_manifests
from lockgate.ingress.names import (
    backend_security_group_name,
    load_balancer_name,
    security_group_name,
    target_group_name,
)
from lockgate.ingress.show import stack_json
from lockgate.ingress.subnets import Subnet
from lockgate.ingress.world import Account, Settings
from lockgate.resources import core, networking
from lockgate.resources.diagnostics import diagnose
from lockgate.resources.model import Resource
from lockgate.resources.positions import Positions
from lockgate.resources.reader import read


def test_a_load_balancers_name_is_upstreams() -> None:
    """The vector is from upstream's own unit tests."""
    name = load_balancer_name(
        "", namespace="awesome-ns", name="ing-1", group="awesome-ns/ing-1", scheme="internet-facing"
    )
    assert name == "k8s-awesomen-ing1-43b698093c"


def test_names_are_cut_to_what_aws_takes() -> None:
    long = "a-very.long-name-that-goes-on-and-on"
    explicit = load_balancer_name("c", namespace="", name=long, group=long, scheme="internal")
    assert explicit.startswith("k8s-averylongnamethat-")
    assert len(explicit) <= 32
    assert len(security_group_name("c", namespace=long, name=long, group=f"{long}/{long}")) <= 32
    assert backend_security_group_name("my-cluster").startswith("k8s-traffic-mycluster-")


def test_what_a_target_groups_name_depends_on() -> None:
    base: dict[str, Any] = {
        "ingress": ("a", "web"), "service": ("a", "web"), "service_uid": "u", "service_port": "80",
        "port": 30080, "target_type": "instance", "protocol": "HTTP", "protocol_version": "HTTP1",
    }  # fmt: skip
    names = {target_group_name("c", "a/web", **base)}
    for change in (
        {"service_uid": "v"}, {"service_port": "http"}, {"port": 30081}, {"target_type": "ip"}, {"protocol": "HTTPS"},
        {"protocol_version": "GRPC"}, {"ingress": ("a", "other")}, {"control_port": 3000},
    ):  # fmt: skip
        names.add(target_group_name("c", "a/web", **(base | change)))
    assert len(names) == 9


def test_the_guides_stack_knows_its_lines() -> None:
    documents = read((CASES / "guide.yaml").read_text(), "ingress.yaml").documents
    gateway = core.Service.model_validate(
        {
            "metadata": {"name": "istio-ingressgateway", "namespace": "edge"},
            "spec": {
                "type": "NodePort",
                "ports": [{"name": "status-port", "port": 15021}, {"name": "https", "port": 443}],
            },
        }
    )
    resources = [gateway, *(document.resource for document in documents if document.resource)]
    outcome = stack_from_manifests(resources)
    [stack] = outcome.stacks
    shown = stack_json(stack, Positions(documents))
    text = (CASES / "guide.yaml").read_text().splitlines()
    line = int(shown["Listeners"][1]["Rules"][0]["From"].split(":")[1])
    assert "backend" in text[line - 1]
    assert "istio-ingressgateway" in "".join(text[line - 1 : line + 4])
    assert "listen-ports" in text[int(shown["Listeners"][0]["From"].split(":")[1]) - 1]
    assert [fault.code.id for fault in outcome.faults] == ["LG1104", "LG1104"]  # subnets and node ports


def test_secrets_are_not_shown() -> None:
    row = next(
        row
        for row in yaml.safe_load((CASES / "annotations_rules.yaml").read_text())
        if row["name"].startswith("auth-type oidc")
    )
    outcome = Row.of("annotations_rules", row).build()
    assert "ClientSecret" not in str(stack_json(outcome.stacks[0], lambda origin: None))
    assert "secret" not in repr(outcome.stacks[0].load_balancer).replace("Secret", "").replace("secretName", "")


def _many(ingresses: int, in_group: int) -> list[Resource]:
    found: list[Resource] = [
        core.Service.model_validate(
            {
                "metadata": {"name": f"s{number}", "namespace": "default"},
                "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000 + number}]},
            }
        )
        for number in range(20)
    ]
    for number in range(ingresses):
        paths = [
            {
                "path": f"/{path}",
                "pathType": "Prefix",
                "backend": {"service": {"name": f"s{path}", "port": {"number": 80}}},
            }
            for path in range(10)
        ]
        annotations = {
            "kubernetes.io/ingress.class": "alb",
            "alb.ingress.kubernetes.io/group.name": f"g{number // in_group}",
        }
        found.append(
            networking.Ingress.model_validate(
                {
                    "metadata": {"name": f"i{number}", "namespace": "default", "annotations": annotations},
                    "spec": {"rules": [{"host": f"h{number}.example", "http": {"paths": paths}}]},
                }
            )
        )
    return found


def test_one_changed_ingress_rebuilds_its_group_alone() -> None:
    resources = _many(40, 10)
    first = stack_from_manifests(resources)
    assert [len(stack.load_balancer.listeners[0].rules) for stack in first.stacks if stack.load_balancer] == [100] * 4
    changed = resources[-1]
    metadata = changed.metadata.model_copy(
        update={"annotations": changed.metadata.annotations | {"alb.ingress.kubernetes.io/group.order": "5"}}
    )
    resources[-1] = changed.model_copy(update={"metadata": metadata})
    second = stack_from_manifests(resources, earlier=first)
    same = [before is after for before, after in zip(first.stacks, second.stacks, strict=True)]
    assert same == [True, True, True, False]
    web = resources[3]
    assert isinstance(web, core.Service)
    ports = (web.spec.ports[0].model_copy(update={"node_port": 31000}),)
    resources[3] = web.model_copy(update={"spec": web.spec.model_copy(update={"ports": ports})})
    third = stack_from_manifests(resources, earlier=second)
    assert not any(before is after for before, after in zip(second.stacks, third.stacks, strict=True))


def test_a_changed_account_rebuilds_what_chooses_from_it() -> None:
    resources = _many(1, 1)
    empty = stack_from_manifests(resources, account=Account(subnets=()))
    tags = {"kubernetes.io/role/internal-elb": "1"}
    subnets = tuple(Subnet(f"subnet-{zone}", zone, tags, free_addresses=99) for zone in "ab")
    filled = stack_from_manifests(resources, account=Account(subnets=subnets), earlier=empty)
    assert empty.stacks == ()
    assert [each.load_balancer.subnets for each in filled.stacks if each.load_balancer] == [("subnet-a", "subnet-b")]
    again = stack_from_manifests(resources, account=Account(subnets=subnets), earlier=filled)
    assert again.stacks[0] is filled.stacks[0]


def test_a_fault_of_an_unchanged_group_is_where_its_object_is_now() -> None:
    text = """apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/scheem: internal
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
"""
    before = read(text, "edge.yaml").documents
    after = read("# added\n" * 10 + text, "edge.yaml").documents
    first = stack_from_manifests([each.resource for each in before if each.resource])
    second = stack_from_manifests([each.resource for each in after if each.resource], earlier=first)
    assert second.stacks[0] is first.stacks[0]
    assert second.faults == first.faults
    fault = next(each for each in second.faults if each.code.id == "LG1101")
    assert [str(diagnose(fault, Positions(each)).position) for each in (before, after)] == [
        "edge.yaml:8:39",
        "edge.yaml:18:39",
    ]


def test_a_faulty_group_leaves_others_alone() -> None:
    resources = _many(20, 10)
    faulty = resources[-1]
    metadata = faulty.metadata.model_copy(
        update={"annotations": faulty.metadata.annotations | {"alb.ingress.kubernetes.io/scheme": "public"}}
    )
    resources[-1] = faulty.model_copy(update={"metadata": metadata})
    outcome = stack_from_manifests(resources, settings=Settings(cluster_name="c"))
    assert [str(stack.id) for stack in outcome.stacks] == ["g0"]
    assert [fault.message for fault in outcome.faults if fault.code.id == "LG1102"] == [
        "Failed build model due to unknown scheme: public"
    ]


def test_a_fault_of_several_groups_is_reported_once() -> None:
    resources = _many(4, 1)
    web = resources[3]
    assert isinstance(web, core.Service)
    ports = (web.spec.ports[0].model_copy(update={"node_port": 0}),)
    resources[3] = web.model_copy(update={"spec": web.spec.model_copy(update={"ports": ports})})
    reported = [each for each in stack_from_manifests(resources).faults if each.subject == "Service default/s3"]
    assert [each.message for each in reported] == [
        "the cluster chooses the node ports; the ones shown stand in for them"
    ]
