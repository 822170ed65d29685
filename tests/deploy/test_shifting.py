"""Which changes move requests in steps, and what each weight looks like; and the records of two load balancers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lockgate.deploy import shifting
from lockgate.deploy.performing import Performer
from lockgate.deploy.planning.objects import Action, FieldChange, ObjectChange
from lockgate.deploy.planning.plan import Wishes
from lockgate.deploy.planning.shifting import ObjectShift, RecordShift, abrupt, object_shifts, probes, record_shift
from lockgate.deploy.planning.steps import ShiftRequests
from lockgate.dns.model import Alias, RecordSet, Weighted, Zone
from lockgate.dns.plan import Endpoint
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey
from tests.deploy.deploy_rig import rig

OLD = "k8s-old-1.eu-west-1.elb.amazonaws.com"
NEW = "k8s-new-1.eu-west-1.elb.amazonaws.com"


def ingress(*backends: dict[str, Any], annotations: dict[str, str] | None = None) -> dict[str, Any]:
    paths = [{"path": f"/{n}", "pathType": "Prefix", "backend": each} for n, each in enumerate(backends)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "edge", "namespace": "shop", "annotations": annotations or {}},
        "spec": {"ingressClassName": "alb", "rules": [{"http": {"paths": paths}}]},
    }


def service(name: str, port: int | str = 443) -> dict[str, Any]:
    return {"service": {"name": name, "port": {"number" if isinstance(port, int) else "name": port}}}


def routes(*hosts: Sequence[tuple[str, int]] | str, shifting: bool = False) -> dict[str, Any]:
    http: list[dict[str, Any]] = []
    for each in hosts:
        if isinstance(each, str):
            http.append({"route": [{"destination": {"host": each}}]})
        else:
            http.append({"route": [{"destination": {"host": host}, "weight": weight} for host, weight in each]})
    fields = [{"manager": "lockgate-shift", "operation": "Apply", "fieldsV1": {"f:spec": {"f:http": {}}}}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "edge", "namespace": "shop", "managedFields": fields if shifting else []},
        "spec": {"hosts": ["a.example"], "http": http},
    }


def shifts(live: dict[str, Any], manifest: dict[str, Any]) -> list[ObjectShift]:
    key = ObjectKey(manifest["apiVersion"].partition("/")[0], manifest["kind"], "shop", "edge")
    return list(object_shifts([ObjectChange(key, Action.UPDATE, manifest, Origin(key))], {key: live}))


def at(percent: int, live: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    """The live object once a weight has been sent."""
    (shift,) = shifts(live, manifest)
    sent = shift.at(percent)
    fields = routes(shifting=True)["metadata"]["managedFields"]
    noted = {**live["metadata"].get("annotations", {}), **sent["metadata"].get("annotations", {})}
    return {
        **live,
        "metadata": {**live["metadata"], "annotations": noted, "managedFields": fields},
        "spec": {**live["spec"], **sent["spec"]},
    }


@pytest.mark.parametrize(
    ("live", "manifest", "titles"),
    [
        (ingress(service("a")), ingress(service("a")), []),
        (ingress(service("a")), ingress(service("b")), ["Service a:443 to Service b:443"]),
        (ingress(service("a")), ingress(service("a", "https")), ["Service a:443 to Service a:https"]),
        (ingress(service("a")), ingress(service("b"), service("b")), []),  # another path: not the same routes
        (ingress(service("a", "use-annotation")), ingress(service("b")), []),  # an action of the user's
        (ingress(service("a")), ingress(service("b", "use-annotation")), []),
        (routes("a"), routes("a"), []),
        (routes("a"), routes("b"), ["a to b"]),
        (routes("a", "a"), routes("a", "b"), ["a to b"]),
        (routes("a"), routes([("a", 50), ("b", 50)]), []),  # shares of the user's
        (routes([("a", 50), ("b", 50)]), routes("b"), []),
        (routes([("a", 50), ("b", 50)], shifting=True), routes("b"), ["a to b"]),
        (routes([("a", 50), ("b", 50)], shifting=True), routes("a"), ["b to a"]),  # the way back
    ],
)
def test_what_shifts(live: dict[str, Any], manifest: dict[str, Any], titles: list[str]) -> None:
    assert [each.title for each in shifts(live, manifest)] == titles


@pytest.mark.parametrize(("live", "new"), [(ingress(service("a"), service("x")), ingress(service("b"), service("x"))),
                                           (routes("a", "x"), routes("b", "x"))])  # fmt: skip
def test_a_killed_shift_is_read_from_the_object(live: dict[str, Any], new: dict[str, Any]) -> None:
    """From any weight, forwards and backwards; and one side alone is what was there, and what will be."""
    kind = "rules" if live["kind"] == "Ingress" else "http"
    (begun,) = shifts(live, new)
    assert begun.weight == 0
    for percent in (0, 25, 100):
        (resumed,) = shifts(at(percent, live, new), new)
        assert resumed.weight == percent
        assert resumed.title == begun.title
        assert resumed.only(new=False)["spec"] == {kind: live["spec"][kind]}
        assert resumed.only(new=True)["spec"] == {kind: new["spec"][kind]}
    (back,) = shifts(at(25, live, new), live)
    assert back.weight == 75
    assert back.only(new=True)["spec"] == {kind: live["spec"][kind]}


def test_an_ingress_forwards_to_both_with_weights_and_keeps_the_ports_as_written() -> None:
    """The controller's names of target groups have the port as it is written, so the groups stay."""
    (shift,) = shifts(ingress(service("a", "https")), ingress(service("b", 443)))
    sent = shift.at(5)
    action = json.loads(sent["metadata"]["annotations"]["alb.ingress.kubernetes.io/actions.lockgate-shift-0"])
    assert action["forwardConfig"]["targetGroups"] == [
        {"serviceName": "a", "servicePort": "https", "weight": 95},
        {"serviceName": "b", "servicePort": 443, "weight": 5},
    ]
    assert sent["spec"]["rules"][0]["http"]["paths"][0]["backend"] == service("lockgate-shift-0", "use-annotation")
    assert "ingressClassName" not in sent["spec"]


def test_routing_that_cannot_shift_is_named() -> None:
    key = ObjectKey("networking.istio.io", "VirtualService", "shop", "edge")
    fields = (FieldChange(("spec", "http"), [], []),)
    change = ObjectChange(key, Action.UPDATE, routes("a", "b"), Origin(key), fields)
    assert "changes at once" in " ".join(abrupt([change], []))


@pytest.mark.parametrize(("percent", "least"), [(1, 450), (5, 89), (25, 16), (50, 10), (100, 10)])
def test_enough_probes_to_meet_the_new_side(percent: int, least: int) -> None:
    assert least <= probes(percent) <= least * 1.1 + 1
    assert percent == 100 or (1 - percent / 100) ** probes(percent) <= 0.01


def alias(target: str, weight: int | None = None) -> RecordSet:
    policy = {} if weight is None else {"policy": Weighted(weight), "set_identifier": target.partition(".")[0]}
    return RecordSet("a.example.", "A", Alias(f"{target}.", "Z32O12XQLNTSW2", True), **policy)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("there", "weight"),
    [
        ([alias(OLD)], 0),
        ([alias(OLD, 75), alias(NEW, 25)], 25),
        ([alias(f"dualstack.{OLD}")], 0),
        ([alias(NEW)], None),
        ([alias("k8s-gone.eu-west-1.elb.amazonaws.com")], None),  # what is gone cannot have a share
        ([], None),
    ],
)
def test_records_shift_between_load_balancers_that_exist(there: list[RecordSet], weight: int | None) -> None:
    endpoints = [Endpoint("a.example", (NEW,), "ingress/shop/edge")]
    zones = [Zone("Z1", "example.", tuple(there))]
    found = record_shift(endpoints, frozenset({"a.example."}), zones, frozenset({OLD, NEW}))
    assert (found.weight if found else None) == weight
    if found:
        assert [(each.targets, each.policy) for each in found.at(30)] == [
            ((OLD,), Weighted(70)),
            ((NEW,), Weighted(30)),
        ]


@pytest.mark.parametrize("fails_at", [None, 50])
def test_records_become_weighted_and_simple_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int | None
) -> None:
    """In one batch each, with their TXT records, because a name has simple or weighted sets and never both."""
    monkeypatch.setattr(shifting, "RECORDS_TTL", 0.0)

    async def run() -> None:
        async with rig(tmp_path, wishes=Wishes(progressive=(50, 100))) as made:
            account = made.session.account
            _, subnets, _ = await made.aws.default_vpc()
            names = []
            for name in ("old", "new"):
                answer = await account.call("elbv2", "create_load_balancer", Name=name, Subnets=list(subnets))
                names.append(answer["LoadBalancers"][0]["DNSName"].lower())
            old, new = names

            async def weights() -> dict[str, int | None]:
                listed = await account.list(
                    "route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId="Z08765432TOWPATH0001"
                )
                return {
                    each["AliasTarget"]["DNSName"].lower().rstrip("."): each.get("Weight")
                    for each in listed
                    if each["Type"] == "A"
                }

            async def prober(url: str, count: int) -> list[str]:
                account.forget()
                seen.append(await weights())
                return ["502" if fails_at == (seen[-1].get(new) or 0) else "200"] * count

            seen: list[dict[str, int | None]] = []
            plan = await made.session.plan()
            performer = Performer(made.session.cluster, account, plan, made.session.wishes, print, prober)
            there = RecordShift((Endpoint("towpath.example", (old,), "r"),), (("towpath.example", old),), 0)
            await performer._perform(ShiftRequests(RecordShift(there.endpoints, (), 0)))
            assert await weights() == {old: None}
            plan = await made.session.plan()
            performer = Performer(made.session.cluster, account, plan, made.session.wishes, print, prober)
            endpoint = Endpoint("towpath.example", (new,), "r")
            action = ShiftRequests(RecordShift((endpoint,), (("towpath.example", old),), 0))
            if fails_at:
                with pytest.raises(shifting.ProbeFailed, match="502; all requests go where they went before"):
                    await performer.perform(action)
            else:
                await performer.perform(action)
            account.forget()
            assert await weights() == {old if fails_at else new: None}
            assert {old: 50, new: 50} in seen
            assert ({old: 0, new: 100} in seen) is (fails_at is None)

    asyncio.run(asyncio.wait_for(run(), 120))
