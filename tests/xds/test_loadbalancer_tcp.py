"""What clients and targets see of a network load balancer that a real Envoy serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from alb_lab import Lab, laboratory

from lockgate.loadbalancer.model import Forward, TargetGroup, TargetState, WeightedTargetGroup
from lockgate.loadbalancer.network import NetworkListener, NetworkLoadBalancer
from lockgate.xds.loadbalancer import Endpoint
from lockgate.xds.loadbalancer.metrics import exposition
from lockgate.xds.loadbalancer.tcp_metrics import flows

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laboratory() as lab:
        yield lab


def group(name: str, **attributes: str) -> TargetGroup:
    reference = f"{ARN}targetgroup/{name}/0123456789abcdef"
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return TargetGroup(reference, name, 80, protocol="TCP", target_type="ip", attributes=named)


def balancer(*groups: TargetGroup, weights: tuple[int, ...] = ()) -> NetworkLoadBalancer:
    shares = zip(groups, weights or (1,) * len(groups), strict=True)
    forward = Forward(tuple(WeightedTargetGroup(each.reference, weight) for each, weight in shares))
    return NetworkLoadBalancer(
        name="lab",
        listeners=(NetworkListener(80, forward),),
        target_groups={each.reference: each for each in groups},
        arn=f"{ARN}loadbalancer/net/lab/0123456789abcdef",
        dns_name="lab-0123456789abcdef.elb.us-east-1.amazonaws.com",
    )


def naming(lab: Lab, name: str) -> Endpoint:
    """A target that sends its name first, and then back all that it is sent."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name.encode())
        while sent := await reader.read(4096):
            writer.write(sent)
        writer.close()

    return Endpoint("127.0.0.1", lab.run(lab.listen(handle)))


def talk(lab: Lab, served: NetworkLoadBalancer, say: bytes = b"", source: str = "127.0.0.1") -> bytes:
    """All that comes back on a connection until the other side ends it, after the client has ended its own."""

    async def conversation() -> bytes:
        address = ("127.0.0.1", lab.port(served, 80))
        reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
        writer.write(say)
        writer.write_eof()
        try:
            return await reader.read()
        except ConnectionResetError:
            return b"reset"
        finally:
            writer.transport.abort()

    return lab.run(conversation())


def test_bytes_pass_both_ways_and_so_does_the_end_of_each(lab: Lab) -> None:
    web = group("web")
    served = balancer(web)
    lab.serve(served, {web.reference: [naming(lab, "web ")]})
    assert talk(lab, served, b"\x00\x01 no HTTP at all") == b"web \x00\x01 no HTTP at all"


def test_without_targets_or_without_weights_the_connection_ends(lab: Lab) -> None:
    web = group("web")
    for served, endpoints in ((balancer(web), []), (balancer(web, weights=(0,)), [naming(lab, "never")])):
        lab.serve(served, {web.reference: endpoints})
        assert talk(lab, served) in (b"", b"reset")


def test_weights_share_connections_out(lab: Lab) -> None:
    one, two, never = group("one"), group("two"), group("never")
    served = balancer(one, two, never, weights=(1, 1, 0))
    lab.serve(served, {each.reference: [naming(lab, each.name)] for each in (one, two, never)})
    assert {talk(lab, served) for _ in range(64)} == {b"one", b"two"}


def test_a_sticky_group_goes_by_the_clients_address(lab: Lab) -> None:
    web = group("web", stickiness__enabled="true", stickiness__type="source_ip")
    served = balancer(web)
    lab.serve(served, {web.reference: [naming(lab, name) for name in ("a", "b", "c")]})
    answers = {client: {talk(lab, served, source=f"127.0.0.{client}") for _ in range(8)} for client in range(1, 17)}
    assert all(len(names) == 1 for names in answers.values())
    assert len(set.union(*answers.values())) > 1
    loose = balancer(replace(web, attributes={}))
    lab.serve(loose, {web.reference: [naming(lab, name) for name in ("a", "b", "c")]})
    assert len({talk(lab, loose) for _ in range(64)}) == 3


def test_proxy_protocol_has_the_clients_address(lab: Lab) -> None:
    web = group("web", proxy_protocol_v2__enabled="true")
    served = balancer(web)
    lab.serve(served, {web.reference: [naming(lab, "")]})
    seen = talk(lab, served, b"hello", source="127.0.0.9")
    assert seen[:12] == b"\r\n\r\n\x00\r\nQUIT\n"
    assert seen[16:20] == bytes((127, 0, 0, 9))
    assert seen.endswith(b"hello")


def test_flows_are_counted_under_cloudwatchs_names(lab: Lab) -> None:
    web = group("web")
    served = replace(balancer(web), arn=f"{ARN}loadbalancer/net/counted/0123456789abcdef")
    lab.serve(served, {web.reference: [naming(lab, "web")]})
    states: list[TargetState] = ["healthy", "unhealthy", "healthy"]
    before = exposition(flows(lab.stats(), [served], lambda _: states))
    for _ in range(3):
        assert talk(lab, served, b"1234567") == b"web1234567"

    def now() -> str:
        return exposition(flows(lab.stats(), [served], lambda _: states))

    labels = 'LoadBalancer="net/counted/0123456789abcdef"'
    assert f"NewFlowCount{{{labels}}} 0" in before
    deadline = time.monotonic() + 20
    while f"ActiveFlowCount{{{labels}}} 0" not in now():
        assert time.monotonic() < deadline
    assert f"NewFlowCount{{{labels}}} 3" in now()
    assert f"ProcessedBytes_TCP{{{labels}}} {3 * (7 + 10)}" in now()
    assert "# TYPE ActiveFlowCount gauge" in now()
    of_group = f'{labels},TargetGroup="targetgroup/web/0123456789abcdef"'
    assert f"HealthyHostCount{{{of_group}}} 2" in now()
    assert f"UnHealthyHostCount{{{of_group}}} 1" in now()
