"""Which connections go on when their listener changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from envoy.config.listener.v3.listener_pb2 import Listener as EnvoyListener

from lockgate.loadbalancer.model import (
    AuthenticateOidc,
    FixedResponse,
    Listener,
    LoadBalancer,
    MutualAuthentication,
    PathPattern,
    Rule,
    SourceIp,
)
from lockgate.resources.memo import Memo
from lockgate.xds.loadbalancer import Material, Socket, TrustStore, snapshot
from lockgate.xds.loadbalancer.generations import KEPT
from lockgate.xds.snapshot import LISTENER

ARN = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/edge/1"
ONE = Listener(443, "HTTPS", (FixedResponse("200"),), certificates=("arn:a",))
LOGIN = AuthenticateOidc("https://id.test", "https://id.test/a", "https://id.test/t", "https://id.test/u", "client")


class Listening:
    def __init__(self) -> None:
        self._memo = Memo()

    def chains(self, listener: Listener, **attributes: str) -> list[str]:
        """The names of the chains of a listener that becomes this one, that of new connections first."""
        balancer = LoadBalancer("edge", (listener,), {}, arn=ARN, attributes=attributes)
        certificates: Mapping[str, Material] = {arn: Material("chain", "key") for arn in listener.certificates}
        made = snapshot(
            [balancer],
            sockets={(ARN, listener.port): Socket("127.0.0.1", 8443)},
            certificates=certificates,
            endpoints={},
            trust_stores={"arn:store": TrustStore("bundle")},
            memo=self._memo,
        )
        (entry,) = made.resources[LISTENER].values()
        message = EnvoyListener.FromString(entry.body)
        matcher = message.filter_chain_matcher
        tls = matcher.matcher_tree.exact_match_map.map["tls"] if listener.protocol == "HTTPS" else matcher.on_no_match
        names = [chain.name for chain in message.filter_chains]
        assert names[0] == tls.action.name
        return names


def test_certificates_policies_and_timeouts_leave_connections_alone() -> None:
    listening = Listening()
    names = listening.chains(ONE)
    for listener, attributes in (
        (replace(ONE, certificates=("arn:a", "arn:b")), {}),
        (replace(ONE, ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06"), {}),
        (ONE, {"idle_timeout.timeout_seconds": "30", "client_keep_alive.seconds": "600"}),
    ):
        earlier, names = names, listening.chains(listener, **attributes)
        assert len(names) == len(earlier) + 1
        assert names[1:] == earlier


def test_rules_are_none_of_a_connections_business() -> None:
    listening = Listening()
    (name,) = listening.chains(ONE)
    for condition in (PathPattern(("/a",)), SourceIp(("10.0.0.0/8",))):
        assert listening.chains(replace(ONE, rules=(Rule(1, (condition,), (FixedResponse("201"),)),))) == [name]


def test_what_changes_how_requests_are_treated_holds_for_open_connections_too() -> None:
    listening = Listening()
    before = listening.chains(ONE)
    authenticating = replace(ONE, default_actions=(LOGIN, FixedResponse("200")))
    verifying = replace(ONE, mutual_authentication=MutualAuthentication("verify", "arn:store"))
    for listener, attributes in (
        (authenticating, {}),
        (verifying, {}),
        (ONE, {"routing.http2.enabled": "false"}),
        (ONE, {"routing.http.desync_mitigation_mode": "strictest"}),
    ):
        (name,) = listening.chains(listener, **attributes)
        assert name not in before
        before.append(name)


def test_only_so_many_are_kept_and_none_twice() -> None:
    listening = Listening()
    for number in range(3 * KEPT):
        names = listening.chains(ONE, **{"idle_timeout.timeout_seconds": str(10 + number)})
        assert len(names) == len(set(names)) <= 1 + KEPT
    for number in range(3 * KEPT):  # back and forth
        names = listening.chains(ONE, **{"idle_timeout.timeout_seconds": str(10 + number % 2)})
        assert len(names) == len(set(names)) <= 1 + KEPT


def test_listeners_without_tls_are_no_different() -> None:
    listening = Listening()
    plain = replace(ONE, protocol="HTTP", certificates=())
    (name,) = listening.chains(plain)
    assert listening.chains(plain, **{"idle_timeout.timeout_seconds": "30"})[1:] == [name]
