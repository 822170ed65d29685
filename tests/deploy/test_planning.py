"""The decisions of a plan, as tables: which certificate, which versions fit, what costs, who owns, in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lockgate.deploy.planning import cost, iam, limits, versions
from lockgate.deploy.planning.certificates import Choice, choose
from lockgate.deploy.planning.deletions import deletions
from lockgate.deploy.planning.objects import FieldChange, field_changes, merged, owner_of, rank, shown
from lockgate.deploy.planning.seen import Acm
from lockgate.deploy.planning.steps import Inputs, State, minutes, steps
from lockgate.dns.model import Records, RecordSet, Zone
from lockgate.dns.plan import plan as plan_records
from lockgate.edge.objects import Objects
from lockgate.ingress.stack import GroupId, ServiceId, Stack
from lockgate.loadbalancer import quotas
from lockgate.loadbalancer.model import Forward, LoadBalancer
from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer
from lockgate.resources import core, istio
from lockgate.resources.model import ObjectKey, Resource
from lockgate.resources.workloads import Deployment

NAMES = ("shop.example", "*.shop.example")


def acm(arn: str, *names: str, status: str = "ISSUED", **more: Any) -> Acm:
    return Acm(arn, names or NAMES, status, **more)


@pytest.mark.parametrize(
    ("reference", "there", "chosen"),
    [
        ("arn:a", [], ""),
        ("arn:a", [acm("arn:a", "other.example")], "arn:a"),  # the manifests name it: `check` judges its names
        ("arn:a", [acm("arn:b")], "arn:b"),
        ("arn:a", [acm("arn:b", "shop.example")], ""),
        ("arn:a", [acm("arn:b", status="PENDING_VALIDATION")], "arn:b"),
        ("arn:a", [acm("arn:b", status="FAILED")], ""),
        ("arn:a", [acm("arn:b", imported=True)], ""),  # ACM does not renew it
        ("arn:a", [acm("arn:b", status="PENDING_VALIDATION"), acm("arn:c")], "arn:c"),
        ("arn:a", [acm("arn:b", *NAMES, "more.example"), acm("arn:c")], "arn:c"),
        ("arn:a", [acm("arn:b"), acm("arn:c", in_use=True)], "arn:c"),
        ("arn:a", [acm("arn:b", not_after="2027"), acm("arn:c", not_after="2026")], "arn:b"),
        ("arn:a", [acm("arn:b", "SHOP.example", "*.shop.example")], "arn:b"),
    ],
)
def test_certificates(reference: str, there: list[Acm], chosen: str) -> None:
    assert choose(reference, NAMES, there).arn == chosen


def test_a_repeated_request_has_the_same_token() -> None:
    one, other = Choice("a", NAMES, None), Choice("b", NAMES[::-1], None)
    assert one.token == other.token
    assert len(one.token) == 32


@pytest.mark.parametrize(
    ("image", "kubernetes", "says"),
    [
        ("docker.io/istio/pilot:1.30.1", "v1.32.4", ""),
        ("docker.io/istio/pilot:1.17.1", "v1.32.4", "Istio 1.17.1 supports Kubernetes 1.23 to 1.26"),
        ("istio/pilot:1.99.0-distroless", "v1.32.4", "Istio 1.99.0 is not in the table"),
        ("quay.io/jetstack/cert-manager-controller:v1.20.2", "v1.36.0-eks-1", "cert-manager 1.20.2 supports"),
        ("quay.io/jetstack/cert-manager-controller@sha256:" + "0" * 64, "v1.36.0", ""),
        ("eks/aws-load-balancer-controller:v2.4.7", "v1.32.4", "older than 2.5"),
        ("eks/aws-load-balancer-controller:v3.5.0", "v1.32.4", ""),
        ("example/istio-pilot-helper:1.1.0", "v1.32.4", ""),
    ],
)
def test_versions(image: str, kubernetes: str, says: str) -> None:
    container = {"name": "it", "image": image}
    manifest = {"metadata": {"name": "it"}, "spec": {"template": {"spec": {"containers": [container]}}}}
    found = list(versions.misfits(versions.installed([Deployment.model_validate(manifest)]), kubernetes))
    assert says in " ".join(found)
    assert bool(found) == bool(says)


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ({"labels": {"lockgate.dev/edge": "shop"}}, ""),
        ({"labels": {"lockgate.dev/edge": "other"}}, "lockgate's edge other"),
        ({"annotations": {"meta.helm.sh/release-name": "istiod"}}, "Helm release istiod"),
        ({"labels": {"argocd.argoproj.io/instance": "edge"}}, "Argo CD (edge)"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "edge"}}, "Flux (edge)"),
        ({"managedFields": [{"manager": "kubectl-client-side-apply"}]}, "kubectl-client-side-apply"),
        ({}, "another client"),
    ],
)
def test_owners(metadata: dict[str, Any], owner: str) -> None:
    assert owner_of({"metadata": metadata}, "shop") == owner


def test_fields_differ_one_by_one_and_values_of_secrets_stay_hidden() -> None:
    before = {"spec": {"a": 1, "list": [1, 2], "gone": True}}
    after = {"spec": {"a": 2, "list": [1, 2, 3], "new": {"deep": "x"}}}
    assert set(map(repr, field_changes(before, after))) == set(
        map(
            repr,
            [
                FieldChange(("spec", "a"), 1, 2),
                FieldChange(("spec", "list"), [1, 2], [1, 2, 3]),
                FieldChange(("spec", "gone"), True, None),
                FieldChange(("spec", "new", "deep"), None, "x"),
            ],
        )
    )
    secret = list(field_changes({"data": {"key": "b2xk"}}, {"data": {"key": "bmV3"}}, secret=True))
    assert [each.path for each in secret] == [("data", "key")]
    assert "b2xk" not in repr(secret)
    assert "bmV3" not in repr(secret)


@pytest.mark.parametrize("listed", [{}, {"apiVersion": "networking.istio.io/v1", "kind": "Gateway"}])
def test_the_version_in_which_an_object_is_read_is_no_change(listed: dict[str, Any]) -> None:
    """Items of a list have none, and a manifest may have an older one."""
    before = {**listed, "metadata": {"name": "edge", "generation": 1}, "spec": {"a": 1}}
    after = {
        "apiVersion": "networking.istio.io/v1beta1",
        "metadata": {"name": "edge", "generation": 2},
        "spec": {"a": 1},
    }
    assert list(field_changes(shown(before), shown(after))) == []


def test_a_local_merge_keeps_what_the_manifest_does_not_have() -> None:
    assert merged({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}}


def test_a_local_merge_keeps_the_defaults_of_items() -> None:
    """Found with a user who may only read, at a real API server: every Service differed from its manifest."""
    there = {"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}, {"port": 81, "protocol": "TCP"}]}}
    written = {"apiVersion": "v1", "spec": {"ports": [{"port": 81}, {"port": 80, "targetPort": "http"}]}}
    assert merged(there, written)["spec"]["ports"] == [
        {"port": 81, "protocol": "TCP"},
        {"port": 80, "protocol": "TCP", "targetPort": "http"},
    ]
    routes = {"spec": {"http": [{"name": "a", "timeout": "3s"}]}}
    written = {"apiVersion": "networking.istio.io/v1", "spec": {"http": [{"name": "a"}]}}
    assert merged(routes, written)["spec"] == written["spec"]


def test_ingresses_come_last_and_what_others_need_first() -> None:
    kinds = ["Ingress", "VirtualService", "Gateway", "Certificate", "ClusterIssuer", "Namespace", "Service"]
    ordered = sorted((ObjectKey("", kind, "a", "b") for kind in kinds), key=rank)
    assert [each.kind for each in ordered] == [
        *("Namespace", "Service", "ClusterIssuer", "Certificate", "Gateway", "VirtualService", "Ingress")
    ]


@pytest.mark.parametrize(
    ("found", "records", "open_"),
    [
        (None, False, ["certificate a", "validation a", "issued a"]),
        (acm("arn:b", status="PENDING_VALIDATION"), False, ["validation a", "issued a"]),
        (acm("arn:b", status="PENDING_VALIDATION"), True, ["issued a"]),
        (acm("arn:b"), True, []),
    ],
)
def test_steps_of_a_certificate(found: Acm | None, records: bool, open_: list[str]) -> None:
    made = steps(Inputs([Choice("a", NAMES, found)], [], validated=frozenset("a" if records else "")))
    assert [each.id for each in made if each.state is State.TODO] == open_


def test_the_longest_way_through_the_graph_decides_the_time() -> None:
    made = steps(Inputs([Choice("a", NAMES, None), Choice("b", NAMES, None)], [], new_zones=["shop.example"]))
    assert [round(each, 1) for each in minutes(made)] == [1, 5.3]


def stack(**more: Any) -> Stack:
    return Stack(GroupId("shop", "web"), load_balancer=LoadBalancer("k8s-web", (), {}, **more))


SERVICE = Stack(
    ServiceId("shop", "front"), network=NetworkLoadBalancer("k8s-front", (NetworkListener(443, Forward(())),), {})
)


def test_cost() -> None:
    made = list(cost.costs([stack(scheme="internet-facing", subnets=("a", "b"))], ["shop.example."]))
    assert [(each.what, round(each.dollars, 2)) for each in made] == [
        ("load balancer k8s-web", 16.43),
        ("2 public IPv4 addresses", 7.3),
        ("hosted zone shop.example", 0.5),
    ]
    assert sum(each.dollars for each in cost.costs([stack()], [])) == pytest.approx(16.425)
    (balancer, units) = cost.costs([replace(SERVICE, capacity_units=2)], [])
    assert (balancer.what, round(units.dollars, 2)) == ("load balancer k8s-front", 8.76)


@pytest.mark.parametrize(
    ("existing", "count", "used", "near", "exceeded"),
    [
        ((), 0, 1, False, False),
        ((), 39, 40, True, False),
        ((), 50, 51, True, True),
        (("k8s-web",), 50, 50, True, False),
    ],
)
def test_quotas(existing: tuple[str, ...], count: int, used: int, near: bool, exceeded: bool) -> None:
    counts, each_limit = {quotas.LOAD_BALANCERS: count}, {quotas.LOAD_BALANCERS: 50}
    (found,) = limits.used([stack()], existing, counts, each_limit)
    assert (found.used, found.near, found.exceeded) == (used, near, exceeded)


def test_quotas_of_network_load_balancers() -> None:
    each_limit = {quotas.NETWORK_LOAD_BALANCERS: 50, quotas.LOAD_BALANCERS: 50, quotas.NETWORK_LISTENERS: 50}
    counts = {quotas.NETWORK_LOAD_BALANCERS: 7, quotas.LOAD_BALANCERS: 1}
    found = {each.name: each.used for each in limits.used([SERVICE, stack()], (), counts, each_limit)}
    assert found == {quotas.NETWORK_LOAD_BALANCERS: 8, quotas.LOAD_BALANCERS: 2, quotas.NETWORK_LISTENERS: 1}


NEEDS = iam.Needs("123456789012", "eu-west-1", "shop", "prod", zones=("Z1",), names=NAMES)


def test_a_policy_for_plan_has_no_write() -> None:
    for action in iam.actions(iam.policy(NEEDS, write=False)):
        assert action.partition(":")[2].startswith(("Describe", "Get", "List"))


def test_no_policy_has_a_write_of_load_balancing() -> None:
    needs = iam.Needs(
        "1",
        "eu-west-1",
        "shop",
        "prod",
        new_zones=("a",),
        reads=("wafv2:GetWebACLForResource",),
        identity="irsa",
        names=NAMES,
    )
    for action in iam.actions(iam.policy(needs, destroy=True)):
        service, _, name = action.partition(":")
        assert service not in ("elasticloadbalancing", "ec2", "wafv2") or name.startswith(("Describe", "Get", "List"))


def test_rights_are_for_these_names_and_zones_only() -> None:
    statements = {each["Sid"]: each for each in iam.policy(NEEDS)["Statement"]}
    assert statements["WriteRecords"]["Resource"] == ["arn:aws:route53:::hostedzone/Z1"]
    names = statements["RequestCertificates"]["Condition"]["ForAllValues:StringEquals"]["acm:DomainNames"]
    assert names == sorted(NAMES)
    assert statements["ReadCluster"]["Resource"] == ["arn:aws:eks:eu-west-1:123456789012:cluster/prod"]
    china = iam.policy(iam.Needs("1", "cn-north-1", "shop", "prod"))["Statement"][0]["Resource"][0]
    assert china.startswith("arn:aws-cn:")


def test_dates_of_certificates_decide_the_verdict() -> None:
    from lockgate.deploy.planning.drift import _expiring

    now = datetime(2026, 11, 29, tzinfo=UTC)
    verdicts = [_expiring("a", f"2026-{date}T00:00:00Z", now, "ready").verdict for date in ("11-01", "12-05", "12-31")]
    assert [each.value for each in verdicts] == ["drift", "warning", "fine"]


PORT = {"number": 80, "name": "http", "protocol": "HTTP"}
GATEWAY = istio.Gateway.model_validate(
    {
        "metadata": {"name": "edge", "namespace": "shop"},
        "spec": {"selector": {"istio": "edge"}, "servers": [{"port": PORT, "hosts": ["shop.example"]}]},
    }
)
ROUTES = istio.VirtualService.model_validate(
    {
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"hosts": ["shop.example"], "gateways": ["edge"]},
    }
)


def serving(name: str, selector: str, **more: Any) -> core.Service:
    metadata = {"name": name, "namespace": "shop", **more}
    return core.Service.model_validate({"metadata": metadata, "spec": {"selector": {"istio": selector}}})


@pytest.mark.parametrize(
    ("asked", "objects", "reason"),
    [
        ("ingress/shop/web", [], "Ingress shop/web is gone"),
        ("crd/shop/web", [], "crd shop/web is gone"),
        ("gateway/shop/edge", [GATEWAY, serving("a", "other")], "no Service selects the Pods of Gateway shop/edge"),
        (
            "virtualservice/shop/shop",
            [GATEWAY, ROUTES, serving("a", "edge")],
            "no load balancer leads to Service shop/a, which Gateway shop/edge uses",
        ),
        ("virtualservice/shop/shop", [ROUTES], "no Gateway of VirtualService shop/shop is there"),
        ("service/shop/a", [serving("a", "edge")], "Service shop/a no longer names it"),
    ],
)
def test_each_deleted_record_has_a_reason(asked: str, objects: list[Resource], reason: str) -> None:
    text = Records(300, (f'"heritage=external-dns,external-dns/owner=me,external-dns/resource={asked}"',))
    address = RecordSet("shop.example.", "A", Records(300, ("192.0.2.1",)))
    zone = Zone("Z1", "example.", (address, RecordSet("a-shop.example.", "TXT", text)))
    gone = plan_records((), [zone], "me")
    assert deletions(gone, Objects(objects)) == {address.key: reason}
    (step,) = steps(Inputs([], [], records=[("example.", "Z1", gone.changes["Z1"][0])]))
    assert step.title == "delete the records of shop.example in example"
