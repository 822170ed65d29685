"""The configuration stream as a conversation: what Envoy says, and what must go out next."""

from __future__ import annotations

from lockgate.dataplane.desired import Desired, Rejection
from lockgate.dataplane.stream import Stream
from lockgate.xds.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Entry, Snapshot


class Playbook:
    """One Envoy at the other end: it answers as the test says, and records what it was sent."""

    def __init__(self, desired: Desired | None = None) -> None:
        self.desired = desired or Desired("alb")
        self.rejections: list[Rejection] = []
        self.stream = Stream(self.desired, lambda rejection, _: self.rejections.append(rejection))
        self.open: dict[str, str] = {}  # what was pushed, to its nonce

    def publish(self, **resources: dict[str, str]) -> None:
        types = {
            "clusters": CLUSTER,
            "endpoints": ENDPOINT,
            "secrets": SECRET,
            "listeners": LISTENER,
            "routes": ROUTE,
        }
        self.desired.publish(
            Snapshot(
                {
                    types[kind]: {name: Entry.of(body.encode(), f"Object {name}") for name, body in entries.items()}
                    for kind, entries in resources.items()
                }
            )
        )

    def subscribe(self, *type_urls: str, names: list[str] | None = None) -> None:
        for type_url in type_urls:
            self.stream.subscribe(type_url, names or [], [], {})

    def sent(self) -> list[str]:
        """What goes out now: ``cluster +a +b -c``."""
        lines = []
        for nonce, push in self.stream.take():
            kind = push.type_url.rsplit(".", 1)[1]
            line = " ".join([kind, *(f"+{n}" for n in push.entries), *(f"-{n}" for n in push.removed)])
            self.open[line] = nonce
            lines.append(line)
        return lines

    def accept(self, line: str) -> None:
        self.stream.acknowledge(self.open.pop(line), None)

    def refuse(self, line: str, why: str) -> None:
        self.stream.acknowledge(self.open.pop(line), why)


def test_routes_wait_for_clusters_and_clusters_for_their_endpoints() -> None:
    envoy = Playbook()
    envoy.publish(clusters={"tg": "1"}, endpoints={"tg": "1"}, listeners={"443": "1"}, routes={"r": "1"})
    envoy.subscribe(CLUSTER, LISTENER)

    assert envoy.sent() == ["Cluster +tg"]
    envoy.accept("Cluster +tg")
    assert envoy.sent() == []  # Envoy has not asked for the endpoints of tg yet
    envoy.subscribe(ENDPOINT, names=["tg"])
    assert envoy.sent() == ["ClusterLoadAssignment +tg"]
    envoy.accept("ClusterLoadAssignment +tg")
    assert envoy.sent() == ["Listener +443"]
    envoy.subscribe(ROUTE, names=["r"])
    assert envoy.sent() == ["RouteConfiguration +r"]
    assert not envoy.stream.settled
    envoy.accept("Listener +443")
    envoy.accept("RouteConfiguration +r")
    assert envoy.stream.settled


def test_an_envoy_without_clusters_gets_an_empty_response() -> None:
    envoy = Playbook()
    envoy.publish(listeners={"443": "1"})
    envoy.subscribe(CLUSTER, LISTENER)
    assert envoy.sent() == ["Cluster"]
    envoy.accept("Cluster")
    assert envoy.sent() == ["Listener +443"]


def settled(**resources: dict[str, str]) -> Playbook:
    envoy = Playbook()
    envoy.publish(**resources)
    envoy.subscribe(CLUSTER, LISTENER)
    envoy.subscribe(ENDPOINT, names=list(resources.get("endpoints", {})))
    envoy.subscribe(ROUTE, names=list(resources.get("routes", {})))
    while lines := envoy.sent():
        for line in lines:
            envoy.accept(line)
    assert envoy.stream.settled
    return envoy


def test_an_envoy_is_settled_once_it_has_acknowledged_a_listeners_secret() -> None:
    envoy = settled(listeners={"80": "1"})
    envoy.publish(listeners={"80": "1", "443": "1"})
    assert envoy.sent() == ["Listener +443"]
    envoy.subscribe(SECRET, names=["cert"])  # before it acknowledges the listener
    envoy.accept("Listener +443")
    assert envoy.stream.settled  # the listener serves without a certificate, as it should until there is one
    envoy.publish(listeners={"80": "1", "443": "1"}, secrets={"cert": "1"})
    assert not envoy.stream.settled
    assert envoy.sent() == ["Secret +cert"]
    assert not envoy.stream.settled
    envoy.accept("Secret +cert")
    assert envoy.stream.settled


def test_a_change_sends_only_what_changed() -> None:
    envoy = settled(clusters={"a": "1", "b": "1"}, listeners={"443": "1"})
    envoy.publish(clusters={"a": "1", "b": "2"}, listeners={"443": "1"})
    assert envoy.sent() == ["Cluster +b"]


def test_what_is_gone_is_removed_last_after_what_replaces_it() -> None:
    envoy = settled(clusters={"old": "1"}, listeners={"443": "1"}, routes={"r": "to old"})
    envoy.publish(clusters={"new": "1"}, listeners={"443": "1"}, routes={"r": "to new"})
    assert envoy.sent() == ["Cluster +new"]
    envoy.accept("Cluster +new")
    assert envoy.sent() == ["RouteConfiguration +r"]
    envoy.accept("RouteConfiguration +r")
    assert envoy.sent() == ["Cluster -old"]


def test_a_rejected_resource_is_reported_with_its_origin_and_the_last_good_one_stays() -> None:
    envoy = settled(listeners={"443": "good"})
    envoy.publish(listeners={"443": "bad"})
    assert envoy.sent() == ["Listener +443"]
    envoy.refuse("Listener +443", "no such filter")

    (rejection,) = envoy.rejections
    assert str(rejection) == "Envoy (alb) rejects Object 443: no such filter"
    # The last good one is confirmed, and serves an Envoy that starts again, too.
    assert envoy.sent() == ["Listener +443"]
    again = Playbook(envoy.desired)
    again.subscribe(LISTENER)
    entries = [push.entries["443"].body for _, push in again.stream.take()]
    assert entries == [b"good"]


def test_of_several_rejected_together_only_the_one_at_fault_is_held_back() -> None:
    envoy = settled(routes={"a": "1", "b": "1"})
    envoy.publish(routes={"a": "2", "b": "2"})
    envoy.subscribe(ROUTE, names=["a", "b"])
    assert envoy.sent() == ["RouteConfiguration +a +b"]
    envoy.refuse("RouteConfiguration +a +b", "something is wrong")
    assert envoy.sent() == ["RouteConfiguration +a"]
    envoy.accept("RouteConfiguration +a")
    assert envoy.sent() == ["RouteConfiguration +b"]
    envoy.refuse("RouteConfiguration +b", "b is wrong")
    assert [rejection.name for rejection in envoy.rejections] == ["b"]
    assert envoy.desired.entry(ROUTE, "a") == Entry.of(b"2", "Object a")
    assert envoy.desired.entry(ROUTE, "b") == Entry.of(b"1", "Object b")


def test_clusters_that_are_sent_again_one_by_one_get_the_endpoints_that_they_wait_for() -> None:
    """Envoy acknowledges a cluster when it is warm, which takes its endpoints."""
    envoy = Playbook()
    envoy.publish(clusters={"a": "1", "bad": "1"}, endpoints={"a": "1"}, listeners={"443": "1"})
    envoy.subscribe(CLUSTER, LISTENER)
    assert envoy.sent() == ["Cluster +a +bad"]
    envoy.refuse("Cluster +a +bad", "one of them is wrong")
    assert envoy.sent() == ["Cluster +a"]
    envoy.subscribe(ENDPOINT, names=["a"])
    assert envoy.sent() == ["ClusterLoadAssignment +a"]
    envoy.accept("ClusterLoadAssignment +a")
    envoy.accept("Cluster +a")
    assert envoy.sent() == ["Cluster +bad"]
    envoy.refuse("Cluster +bad", "this one")
    assert envoy.sent() == ["Listener +443"]
    envoy.accept("Listener +443")
    assert envoy.stream.settled
    assert [rejection.name for rejection in envoy.rejections] == ["bad"]


def test_a_fixed_resource_is_sent_again_after_a_rejection() -> None:
    envoy = settled(listeners={"443": "good"})
    envoy.publish(listeners={"443": "bad"})
    envoy.refuse(envoy.sent()[0], "no")
    envoy.sent()
    envoy.publish(listeners={"443": "better"})
    assert envoy.desired.entry(LISTENER, "443") == Entry.of(b"better", "Object 443")


def test_versions_that_envoy_kept_over_a_reconnect_are_not_sent_again() -> None:
    desired = Desired("alb")
    envoy = Playbook(desired)
    envoy.publish(clusters={"a": "1"}, listeners={"443": "1"})
    kept = desired.entry(CLUSTER, "a")
    assert kept is not None
    envoy.stream.subscribe(CLUSTER, [], [], {"a": kept.version})
    envoy.stream.subscribe(LISTENER, [], [], {})
    assert envoy.sent() == ["Cluster"]
    envoy.accept("Cluster")
    assert envoy.sent() == ["Listener +443"]
