"""Services with a Network Load Balancer: created in order, left unchanged, repaired, released and deleted."""

from __future__ import annotations

import asyncio
from typing import Any

from aws_load_balancer_lab import CERTIFICATE, INSTANCE, Lab, ingress, lab, service

from lockgate.resources import core, elbv2
from lockgate.resources.model import JsonObject

NLB = {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb"}
PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"


def balanced(name: str, *ports: int, annotations: dict[str, str] | None = None, **spec: Any) -> JsonObject:
    made = service(name, *ports, **{**NLB, **spec})
    made["metadata"]["annotations"] = {PREFIX + key: value for key, value in (annotations or {}).items()}
    return made


async def annotate(there: Lab, name: str, **annotations: str | None) -> None:
    """``_`` stands for ``-``; None takes one away."""
    named = {PREFIX + key.replace("_", "-"): value for key, value in annotations.items()}
    await there.store.patch(core.Service, name, "default", {"metadata": {"annotations": named}})


async def hostname(there: Lab, name: str) -> str:
    async def found() -> str:
        entries = (await there.store.get(core.Service, name, "default")).status.load_balancer.ingress
        return entries[0].hostname if entries else ""

    answer = await there.until(found, f"{name} served")
    assert isinstance(answer, str)
    return answer


async def balancers(there: Lab) -> list[dict[str, Any]]:
    return await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")


def operations(there: Lab) -> list[str]:
    return [operation for operation, _ in there.writes]


async def again(there: Lab, name: str) -> None:
    """Have the Service looked at once more, and wait for the end of it."""

    async def successes() -> int:
        events = await there.store.list(core.Event)
        found = [each for each in events if each.reason == "SuccessfullyReconciled"]
        return sum(each.count for each in found if each.involved_object.kind == "Service")

    before = await successes()
    await there.store.patch(core.Service, name, "default", {"metadata": {"annotations": {"note": str(before)}}})

    async def looked_at() -> bool:
        return await successes() > before

    await there.until(looked_at, "another look")
    await there.quiet()


def test_a_service_gets_a_load_balancer_and_its_nodes_as_targets() -> None:
    async def run() -> None:
        async with lab(balanced("web", 80, 443, annotations={"scheme": "internet-facing"})) as there:
            host = await hostname(there, "web")
            await there.quiet()
            (nlb,) = await balancers(there)
            assert (nlb["Type"], nlb["Scheme"], nlb["DNSName"].lower()) == ("network", "internet-facing", host)
            assert len(nlb["SecurityGroups"]) == 2
            found = await there.store.get(core.Service, "web", "default")
            assert found.metadata.finalizers == ("service.k8s.aws/resources",)
            assert [port.port for port in found.status.load_balancer.ingress[0].ports] == [80, 443]
            listeners = await there.listeners()
            assert [(each["Port"], each["Protocol"]) for each in listeners] == [(80, "TCP"), (443, "TCP")]
            node_ports = [port.node_port for port in found.spec.ports]
            groups = [each["DefaultActions"][0]["TargetGroupArn"] for each in listeners]
            assert [await there.targets(group) for group in groups] == [[(INSTANCE, port)] for port in node_ports]
            for binding in await there.store.list(elbv2.TargetGroupBinding):
                assert binding.metadata.labels == {
                    "service.k8s.aws/stack-namespace": "default",
                    "service.k8s.aws/stack-name": "web",
                }
                assert binding.spec.networking is not None
                (rule,) = binding.spec.networking.ingress
                assert [(port.protocol, port.port in node_ports) for port in rule.ports] == [("TCP", True)]
            order = ("create_security_group", "create_target_group", "create_load_balancer", "create_listener")
            made = [each for each in operations(there) if each in order]
            assert made == sorted(made, key=order.index)

    asyncio.run(run())


def test_a_second_pass_and_another_controller_change_nothing() -> None:
    async def run() -> None:
        every = {
            "attributes": "load_balancing.cross_zone.enabled=true",
            "additional-resource-tags": "team=edge",
            "target-group-attributes": "deregistration_delay.timeout_seconds=10",
            "listener-attributes.TCP-80": "tcp.idle_timeout.seconds=60",
            "healthcheck-protocol": "HTTP",
            "ssl-cert": CERTIFICATE,
            "ssl-ports": "443",
            "alpn-policy": "HTTP2Preferred",
        }
        udp = [{"name": "dns", "port": 53, "protocol": "UDP"}]
        async with lab() as there:
            await there.issue(CERTIFICATE, "web.example")
            await there.store.create(balanced("web", 80, 443, annotations=every))
            await there.store.create(balanced("names", annotations={"disable-nlb-sg": "true"}, ports=udp))
            await hostname(there, "web")
            await hostname(there, "names")
            await again(there, "web")
            there.writes.clear()
            await again(there, "web")
            await again(there, "names")
            assert there.writes == []
            await there.restart()
            await again(there, "web")
            await again(there, "names")
            assert there.writes == []

    asyncio.run(run())


def test_manual_changes_are_reverted() -> None:
    async def run() -> None:
        async with lab() as there:
            await there.issue(CERTIFICATE, "web.example")
            await there.store.create(balanced("web", 443, annotations={"ssl-cert": CERTIFICATE}))
            await hostname(there, "web")
            await there.quiet()
            (listener,) = await there.listeners()
            arn, call = listener["ListenerArn"], there.aws.call
            await call("elbv2", "modify_listener", ListenerArn=arn, Protocol="TCP", Port=443)
            await call("elbv2", "add_tags", ResourceArns=[arn], Tags=[{"Key": "own", "Value": "tag"}])
            there.writes.clear()
            await again(there, "web")
            assert operations(there) == ["remove_tags", "modify_listener", "add_listener_certificates"]
            (listener,) = await there.listeners()
            assert (listener["Protocol"], listener["Certificates"]) == ("TLS", [{"CertificateArn": CERTIFICATE}])

    asyncio.run(run())


def test_another_scheme_is_another_load_balancer() -> None:
    async def run() -> None:
        async with lab(balanced("web", 80)) as there:
            before = await hostname(there, "web")
            await there.quiet()
            await annotate(there, "web", scheme="internet-facing")

            async def moved() -> bool:
                return await hostname(there, "web") != before

            await there.until(moved)
            await there.quiet()
            (nlb,) = await balancers(there)
            assert nlb["Scheme"] == "internet-facing"

    asyncio.run(run())


def test_a_port_more_and_a_port_less() -> None:
    async def run() -> None:
        async with lab(balanced("web", 80)) as there:
            await hostname(there, "web")
            await there.quiet()
            there.writes.clear()
            ports = [{"name": "p81", "port": 81}]
            await there.store.patch(core.Service, "web", "default", {"spec": {"ports": ports}})

            async def moved() -> bool:
                return [each["Port"] for each in await there.listeners()] == [81]

            await there.until(moved)
            await there.quiet()
            assert len(await there.target_groups()) == 1
            assert operations(there).count("delete_listener") == 1

    asyncio.run(run())


def test_a_deleted_service_leaves_nothing() -> None:
    async def run() -> None:
        async with lab(balanced("web", 80), service("app", 80), ingress("app", ("/", "app", 80))) as there:
            await hostname(there, "web")
            await there.served("app")
            await there.quiet()
            await there.store.delete(core.Service, "web", "default")

            async def gone() -> bool:
                return all(each.name != "web" for each in await there.store.list(core.Service))

            await there.until(gone)
            await there.quiet()
            assert [each["Type"] for each in await balancers(there)] == ["application"]
            assert [each["TargetType"] for each in await there.target_groups()] == ["instance"]
            groups = await there.aws.list("ec2", "describe_security_groups", "SecurityGroups")
            names = sorted(group["GroupName"][:9] for group in groups if group["GroupName"].startswith("k8s-"))
            assert names == ["k8s-defau", "k8s-traff"]  # the Ingress's own, and the one that both shared

    asyncio.run(run())


def test_a_service_that_is_no_longer_ours_is_released() -> None:
    async def run() -> None:
        annotations = {"type": "external", "nlb-target-type": "instance"}
        async with lab(balanced("web", 80, annotations=annotations, loadBalancerClass=None)) as there:
            await hostname(there, "web")
            await there.quiet()
            await annotate(there, "web", type="nlb")

            async def released() -> bool:
                found = await there.store.get(core.Service, "web", "default")
                return not found.metadata.finalizers and not found.status.load_balancer.ingress

            await there.until(released)
            assert await balancers(there) == []

    asyncio.run(run())


def test_deletion_protection_in_the_annotation_keeps_the_service() -> None:
    async def run() -> None:
        protected = {"attributes": "deletion_protection.enabled=true"}
        async with lab(balanced("web", 80, annotations=protected)) as there:
            await hostname(there, "web")
            await there.quiet()
            await there.store.delete(core.Service, "web", "default")
            await there.event("FailedBuildModel", "deletion_protection is enabled, cannot delete the service: web")
            assert len(await balancers(there)) == 1
            await annotate(there, "web", attributes=None)

            async def gone() -> bool:
                return all(each.name != "web" for each in await there.store.list(core.Service))

            await there.until(gone)
            assert await balancers(there) == []

    asyncio.run(run())


def test_what_cannot_be_built_or_deployed_is_an_event() -> None:
    async def run() -> None:
        async with lab(balanced("web", 80, annotations={"scheme": "public"})) as there:
            event = await there.event("FailedBuildModel", "Failed build model due to unknown scheme: public")
            assert (event.involved_object.kind, event.involved_object.name) == ("Service", "web")
            assert not (await there.store.get(core.Service, "web", "default")).metadata.finalizers
            await annotate(there, "web", scheme="internal", attributes="no.such.key=1")
            await there.event("FailedDeployModel", "Load balancer attribute key 'no.such.key' is not recognized")
            await annotate(there, "web", attributes=None)
            await hostname(there, "web")

    asyncio.run(run())
