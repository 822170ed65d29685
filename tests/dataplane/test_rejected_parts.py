"""Which piece of a configuration Envoy rejects: searched for, asked of a real Envoy, and left out."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.dataplane.ads import AdsServer
from lockgate.dataplane.culprits import MOST, culprits
from lockgate.dataplane.desired import Desired, Rejection
from lockgate.dataplane.envoy import Envoy, find_envoy
from lockgate.dataplane.refusals import EnvoyTrial, readable
from lockgate.gateway import model
from lockgate.gateway.mesh import HttpSettings
from lockgate.loadbalancer.model import (
    AuthenticateOidc,
    FixedResponse,
    HostHeader,
    Listener,
    LoadBalancer,
    PathPattern,
    Rewrite,
    Rule,
    SourceIp,
)
from lockgate.loadbalancer.waf.reader import References, web_acl
from lockgate.resources.faults import Origin
from lockgate.resources.model import ObjectKey
from lockgate.xds import loadbalancer as balancers
from lockgate.xds.gateway import snapshot
from lockgate.xds.gateway.pieces import RoutePieces
from lockgate.xds.gateway.routes import Form
from lockgate.xds.snapshot import LISTENER, ROUTE, Entry, Piece, Snapshot, Source

BIG = "(((a{100}){100}){100})"  # RE2 takes it, Envoy's limit on the size of a program does not


# --- the search ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Words:
    """A resource that is a list of words."""

    words: tuple[str, ...]

    def all(self) -> list[Piece]:
        return [Piece(word, Source(word)) for word in self.words]

    def body(self, kept: Set[int]) -> bytes | None:
        return " ".join(word for place, word in enumerate(self.words) if place in kept).encode()


def entry(*words: str) -> Entry:
    return Entry.of(" ".join(words).encode(), "words", Words(words))


def searched(words: tuple[str, ...], bad: Mapping[str, str]) -> tuple[list[str], int]:
    """The words found to be at fault, and how many questions that took."""
    asked = 0

    async def refusal(body: bytes) -> str | None:
        nonlocal asked
        asked += 1
        return next((bad[word] for word in body.decode().split() if word in bad), None)

    found = asyncio.run(culprits(entry(*words), refusal))
    assert all(reason == bad[str(piece.value)] for piece, reason in found)
    return [str(piece.value) for piece, _ in found], asked


def test_one_of_many_is_found_by_halving() -> None:
    words = tuple(f"w{number}" for number in range(10_000))
    found, asked = searched(words, {"w7531": "no"})
    assert found == ["w7531"]
    assert asked <= 18


@given(st.integers(0, 30), st.sets(st.integers(0, 29), max_size=MOST))
def test_all_that_are_at_fault_are_found_and_nothing_else(count: int, places: set[int]) -> None:
    words = tuple(f"w{number}" for number in range(count))
    bad = {f"w{place}": f"reason {place}" for place in places if place < count}
    assert sorted(searched(words, bad)[0]) == sorted(bad)


def test_of_two_that_exclude_each_other_the_later_one_is_at_fault() -> None:
    async def refusal(body: bytes) -> str | None:
        words = body.decode().split()
        return "twice" if len(set(words)) < len(words) else None

    found = asyncio.run(culprits(entry("a", "b", "a", "c", "b"), refusal))
    assert [piece.value for piece, _ in found] == ["a", "b"]


def test_a_fault_that_is_in_no_piece_has_no_culprit() -> None:
    async def refusal(body: bytes) -> str | None:
        return "whatever it is"

    assert asyncio.run(culprits(entry("a", "b"), refusal)) == []


def test_what_is_at_fault_stays_out_until_it_changes_or_goes() -> None:
    desired = Desired("alb")

    def served(*words: str) -> bytes:
        desired.publish(Snapshot({ROUTE: {"r": entry(*words)}}))
        made = desired.entry(ROUTE, "r")
        assert made is not None
        return made.body

    served("a", "bad", "c")
    desired.leave_out([(Piece("bad", Source("bad")), "why")])
    assert [(each.source.what, each.message, each.left_out) for each in desired.left_out] == [("bad", "why", True)]
    assert served("a", "bad", "c", "d") == b"a c d"  # something else changes
    assert served("a", "better") == b"a better"
    assert desired.left_out == ()
    assert served("a", "bad") == b"a bad"  # it has been away: Envoy may be asked again


# --- Envoy's messages ---------------------------------------------------------------------------------------------


def test_the_dump_before_the_reason_is_left_away() -> None:
    message = (
        'goo.gle/debugstr   \nroutes {\n  key: "x"\n}\n: Proto constraint validation failed '
        "(RouteConfigurationValidationError.VirtualHosts[3]: embedded message failed validation | caused by "
        "VirtualHostValidationError.Routes[0]: embedded message failed validation | caused by "
        'HeaderValueValidationError.Value: value does not match regex pattern "^[^\\x00\\n\\r]*$")'
    )
    assert (
        readable(message) == 'VirtualHosts[3].Routes[0].Value: value does not match regex pattern "^[^\\x00\\n\\r]*$"'
    )


@pytest.mark.parametrize("message", ["", "invalid repetition size: {100}", "Proto constraint validation failed (odd)"])
def test_other_messages_stay(message: str) -> None:
    assert readable(message) in (message, "odd")


# --- a real Envoy -------------------------------------------------------------------------------------------------


def origin(name: str, number: int = 0) -> Origin:
    return Origin(ObjectKey("networking.istio.io", "VirtualService", "shop", name), ("spec", "http", number))


ANYWHERE = model.Prefix("/")


def route(name: str, path: model.TextMatch = ANYWHERE, header: tuple[str, str] = ("x", "y")) -> model.Route:
    headers = model.HeaderChanges((model.SetHeader(*header),))
    answer = model.DirectResponse(200, name.encode())
    return model.Route(model.RouteMatch(path), answer, name, response_headers=headers, origin=origin(name))


def host(name: str, *routes: model.Route) -> model.VirtualHost:
    return model.VirtualHost(f"{name}:80", (name,), routes)


FAULTS = {
    "a header with a line break": route("bad", header=("x", "d\r\ne: f")),
    "a regular expression that is too large": route("bad", model.Regex(BIG)),
    "a regular expression that is none": route("bad", model.Regex("(")),
    "a status that is none": model.Route(model.RouteMatch(ANYWHERE), model.DirectResponse(1), "bad"),
    "a header name that is none": route("bad", header=("a\r\nb", "c")),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_envoy_says_which_route_it_rejects(fault: model.Route) -> None:
    hosts = [host(f"h{number}.test", route("a"), route("b")) for number in range(5)]
    hosts[3] = host("h3.test", route("a"), fault, route("b"))
    found = tried(*hosts)
    assert [piece.value for piece, _ in found] == [fault]
    assert all(reason and "debugstr" not in reason for _, reason in found)


def test_envoy_says_which_virtual_host_has_a_name_that_another_has() -> None:
    twice = host("h1.test", route("c"))
    ((piece, reason),) = tried(host("h0.test", route("a")), host("h1.test", route("b")), twice)
    assert piece.source.origin == Origin(origin("c").key, ("spec", "hosts"))
    assert "h1.test" in reason


def tried(*hosts: model.VirtualHost) -> list[tuple[Piece, str]]:
    pieces = RoutePieces(model.RouteConfiguration("r", hosts), Form(HttpSettings()))
    made = Entry.of(pieces.body(set(range(len(pieces.all())))), "r", pieces)
    trial = EnvoyTrial(find_envoy())
    return asyncio.run(culprits(made, lambda body: trial.refusal(ROUTE, body)))


ARN = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/edge/1"
LOGIN = AuthenticateOidc("https://id.test", "https://id.test/a", "https://id.test/t", "https://id.test/u", "client")
RULES = [
    (HostHeader(("a.test",)), SourceIp(("10.0.0.0/8",))),
    (PathPattern(regex_values=(BIG,)),),
    (PathPattern(("/c",)),),
]


def load_balancer() -> Mapping[str, Mapping[str, Entry]]:
    """One with everything that a listener may have beside its rules, the second of which Envoy rejects."""
    rules = [
        Rule(number, conditions, (LOGIN, FixedResponse("200")), (Rewrite("url", "^/a", "/b"),))
        for number, conditions in enumerate(RULES, 1)
    ]
    listener = Listener(443, "HTTPS", (FixedResponse("404"),), tuple(rules), ("arn:certificate",))
    acl = web_acl({"Name": "lab", "ARN": "arn:lab", "DefaultAction": {"Allow": {}}, "Rules": []}, References())
    balancer = LoadBalancer(
        "edge", (listener,), {}, arn=ARN, web_acl=acl, attributes={"access_logs.s3.enabled": "true"}
    )
    return balancers.snapshot(
        [balancer],
        sockets={(ARN, 443): balancers.Socket("127.0.0.1", 8443)},
        certificates={"arn:certificate": balancers.Material("chain", "key")},  # which the listener only names
        endpoints={},
        authentication=balancers.Socket("127.0.0.1", 8444),
        waf_socket="/tmp/waf.sock",
        records="/dev/null",
    ).resources


def test_envoy_says_which_rule_of_a_load_balancer_it_rejects() -> None:
    trial, resources = EnvoyTrial(find_envoy()), load_balancer()
    (listener,), (routes,) = resources[LISTENER].values(), resources[ROUTE].values()
    assert asyncio.run(trial.refusal(LISTENER, listener.body)) is None  # no rule's fault shows in it
    ((piece, reason),) = asyncio.run(culprits(routes, partial(trial.refusal, ROUTE)))
    assert (piece.source.balancer, piece.source.port, piece.source.priority) == ("edge", 443, 2)
    assert "repetition" in reason


@dataclass
class Running:
    ads: AdsServer
    rejections: list[Rejection]
    port: int

    async def served(
        self,
        *hosts: model.VirtualHost,
        chains: tuple[model.FilterChain, ...] = (),
        clusters: tuple[model.Cluster, ...] = (),
    ) -> None:
        """Publish virtual hosts, and wait until Envoy has what it accepts of them."""
        chains = (model.FilterChain(model.Http("http.80")), *chains)
        gateway = model.Gateway(
            "shop/gateway",
            "shop",
            listeners=(model.Listener("0.0.0.0_8080", "0.0.0.0", 8080, chains),),
            routes={"http.80": model.RouteConfiguration("http.80", hosts)},
            clusters={each.name: each for each in clusters},
            endpoints={each.name: (model.Endpoint("127.0.0.1", 1),) for each in clusters},
        )
        self.ads.publish("gateway", snapshot(gateway, binds={8080: ("127.0.0.1", self.port)}, credentials={}))
        async with asyncio.timeout(60):
            await self.ads.settled("gateway")

    async def answer(self, name: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return body.decode() or head.split()[1].decode()


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    from lockgate.embedded.http import listen

    with tempfile.TemporaryDirectory() as folder, listen("127.0.0.1", 0) as sock:
        port = int(sock.getsockname()[1])
        sock.close()
        rejections: list[Rejection] = []
        ads = AdsServer(rejections.append, EnvoyTrial(find_envoy()))
        await ads.start(Path(folder) / "ads.sock")
        envoy = Envoy("gateway", runtime=Path(folder), ads_socket=Path(folder) / "ads.sock", binary=find_envoy())
        task = asyncio.create_task(envoy.run())
        try:
            yield Running(ads, rejections, port)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await ads.stop()


def test_what_comes_after_a_rejected_route_is_served() -> None:
    bad = FAULTS["a header with a line break"]

    async def story() -> None:
        async with running() as edge:
            await edge.served(host("good.test", route("one")))
            await edge.served(host("good.test", route("one")), host("bad.test", bad))
            assert await edge.answer("good.test") == "one"
            assert await edge.answer("bad.test") == "404"
            ((reported,), now) = edge.rejections, edge.ads.rejections("gateway")
            assert (reported.source.origin, reported.left_out) == (origin("bad"), True)
            assert now == (reported,)

            hosts = (host("good.test", route("two")), host("bad.test", bad), host("new.test", route("new")))
            await edge.served(*hosts)
            assert await edge.answer("good.test") == "two"
            assert await edge.answer("new.test") == "new"
            assert len(edge.rejections) == 1  # Envoy was not asked about it again

            await edge.served(hosts[0], host("bad.test", route("corrected")))
            assert await edge.answer("bad.test") == "corrected"
            assert edge.ads.rejections("gateway") == ()

    asyncio.run(story())


def test_a_server_whose_settings_envoy_rejects_is_left_out_of_its_listener() -> None:
    odd = model.FilterChain(
        model.Http("http.80"),
        ("odd.test",),
        model.DownstreamTls(()),  # no certificate at all
        origin=origin("odd"),
    )

    async def story() -> None:
        async with running() as edge:
            await edge.served(host("good.test", route("one")), chains=(odd,))
            assert await edge.answer("good.test") == "one"
            (rejection,) = edge.ads.rejections("gateway")
            assert (rejection.type_url, rejection.source.origin, rejection.left_out) == (LISTENER, origin("odd"), True)
            assert "certificates" in rejection.message

    asyncio.run(story())


@pytest.mark.parametrize("at_once", [True, False], ids=["from the start", "later"])
def test_what_comes_after_a_rejected_cluster_is_served(at_once: bool) -> None:
    bad = model.Cluster("odd", load_balancing=model.RingHash(9_000_000), origin=origin("odd"))
    others = tuple(model.Cluster(f"c{number}") for number in range(3))
    to_odd = model.Forward((model.WeightedCluster("odd"),))
    hosts = (host("good.test", route("one")), host("odd.test", model.Route(model.RouteMatch(ANYWHERE), to_odd)))

    async def story() -> None:
        async with running() as edge:
            if not at_once:
                await edge.served(*hosts, clusters=others)
            await edge.served(*hosts, clusters=(*others, bad))
            assert await edge.answer("good.test") == "one"
            assert await edge.answer("odd.test") == "503"
            (rejection,) = edge.ads.rejections("gateway")
            assert (rejection.name, rejection.source.origin) == ("odd", origin("odd"))
            assert "8388608" in rejection.message
            await edge.served(host("good.test", route("two")), clusters=(*others, bad, model.Cluster("new")))
            assert await edge.answer("good.test") == "two"
            await edge.served(host("good.test", route("two")), clusters=(*others, model.Cluster("odd")))
            assert edge.ads.rejections("gateway") == ()

    asyncio.run(story())
