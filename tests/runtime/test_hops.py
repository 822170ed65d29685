"""What each hop serves, from values alone."""

from __future__ import annotations

from dataclasses import replace

from lockgate.edge.port_table import PortTable
from lockgate.gateway.model import Gateway
from lockgate.loadbalancer.model import Listener, LoadBalancer, TargetGroup
from lockgate.runtime.observed import Balancing, Proxy
from lockgate.runtime.reports.hops import hops
from lockgate.xds.snapshot import LISTENER, Entry, Snapshot
from tests.runtime.states import state

GROUP = TargetGroup(reference="tg", name="tg-1", protocol="HTTP", port=80, target_type="instance")
BALANCER = LoadBalancer(
    "edge",
    (Listener(port=443, protocol="HTTPS", default_actions=(), certificates=("arn:1",)),),
    {"tg": GROUP},
    dns_name="Edge-1.elb.amazonaws.com",
)
ALB = Proxy(pid=7, settled=True, snapshot=Snapshot({LISTENER: {"edge:443": Entry(b"")}}))
SEEN = replace(
    state({"manifests": ""}),
    zones=("quay.example",),
    balancing=Balancing(
        load_balancers=(BALANCER,),
        addresses={"edge-1.elb.amazonaws.com": "127.0.0.2"},
        ports={("edge-1.elb.amazonaws.com", 443): 20443},
        targets={"tg": {"i-1:30443": "unhealthy"}},
        complaints={"tg": ("i-1:30443 answered 503",)},
    ),
    envoys={"alb": ALB, "gateway": Proxy(gateway=Gateway("istio-system/ingress-0", "istio-system"))},
    ports=PortTable(frozenset(), node_ports={30443: (("127.0.0.1", 9443),)}),
)


def test_hops_are_in_the_order_of_a_request() -> None:
    dns, balancing, gateway, backend = hops(SEEN)
    assert dns == {
        "hop": "dns",
        "address": "127.0.0.1:3",
        "zones": ["quay.example"],
        "addresses": {"edge-1.elb.amazonaws.com": "127.0.0.2"},
    }
    (balancer,) = balancing["load_balancers"]
    assert balancer["address"] == "127.0.0.2"
    assert balancer["listeners"] == [
        {"port": 443, "local_port": 20443, "protocol": "HTTPS", "certificates": ["arn:1"], "rules": 0}
    ]
    (group,) = balancer["target_groups"]
    assert (group["targets"], group["complaints"]) == ({"i-1:30443": "unhealthy"}, ["i-1:30443 answered 503"])
    assert (balancing["envoy"]["settled"], balancing["envoy"]["listeners"]) == (True, ["edge:443"])
    assert [each["workload"] for each in gateway["gateways"]] == ["istio-system/ingress-0"]
    assert gateway["gateways"][0]["envoy"]["settled"] is False
    assert backend["node_ports"] == {"30443": ["127.0.0.1:9443"]}


def test_what_is_not_there_yet_is_empty() -> None:
    early = replace(SEEN, envoys={}, balancing=Balancing())
    _, balancing, gateway, _ = hops(early)
    assert balancing["load_balancers"] == gateway["gateways"] == []
    assert balancing["envoy"]["settled"] is False
