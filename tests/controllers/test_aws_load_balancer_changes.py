"""How little the controller does when something changes: the calls are counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aws_load_balancer_lab import CERTIFICATE, Lab, ingress, lab, service

from lockgate.controllers.aws_load_balancer.inventory import Inventory
from lockgate.ingress.flags import read_arguments
from lockgate.ingress.stack import CLUSTER_TAG, GroupId
from lockgate.ingress.world import Settings
from lockgate.resources import core, networking

PREFIX = "alb.ingress.kubernetes.io/"


async def annotate(there: Lab, name: str, **settings: str | None) -> None:
    """Change annotations and wait for the pass that follows."""
    before = await there.successes(name)
    written = {PREFIX + key.replace("__", ".").replace("_", "-"): value for key, value in settings.items()}
    await there.store.patch(networking.Ingress, name, "default", {"metadata": {"annotations": written}})

    async def done() -> bool:
        return await there.successes(name) > before

    await there.until(done)
    await there.quiet()


async def repath(there: Lab, name: str, *backends: tuple[str, str, int | str]) -> None:
    before = await there.successes(name)
    spec = ingress(name, *backends)["spec"]
    await there.store.patch(networking.Ingress, name, "default", {"spec": spec})

    async def done() -> bool:
        return await there.successes(name) > before

    await there.until(done)
    await there.quiet()


def operations(there: Lab) -> list[str]:
    return [operation for operation, _ in there.writes]


async def priorities(there: Lab) -> list[tuple[str, str]]:
    [listener] = await there.listeners()
    return sorted(
        (
            rule["Priority"].rjust(3, "0") if len(listener["Rules"]) > 9 else rule["Priority"],
            rule["Conditions"][0]["PathPatternConfig"]["Values"][0],
        )
        for rule in listener["Rules"]
    )


def test_a_rule_in_front_costs_two_calls() -> None:
    async def run() -> None:
        async with lab(service("web", 80), ingress("web", ("/a", "web", 80), ("/b", "web", 80))) as there:
            await there.served("web")
            await there.quiet()
            there.writes.clear()
            await repath(there, "web", ("/longest", "web", 80), ("/a", "web", 80), ("/b", "web", 80))
            assert await priorities(there) == [("1", "/longest"), ("2", "/a"), ("3", "/b")]
            # The tags of kept rules get the new number, too.
            assert operations(there)[:2] == ["set_rule_priorities", "create_rule"]
            assert set(operations(there)[2:]) == {"add_tags"}
            there.writes.clear()
            await repath(there, "web", ("/a", "web", 80), ("/b", "web", 80))
            assert await priorities(there) == [("1", "/a"), ("2", "/b")]
            assert operations(there)[:2] == ["set_rule_priorities", "delete_rule"]

    asyncio.run(run())


def test_a_full_load_balancer_takes_new_rules_in_turn_with_old_ones() -> None:
    async def run() -> None:
        paths = [(f"/p{number:03}", "web", 80) for number in range(102)]
        async with lab(service("web", 80), ingress("web", *paths[:100])) as there:
            await there.served("web")
            await there.quiet()
            there.writes.clear()
            await repath(there, "web", *paths[2:])
            assert [path for _, path in await priorities(there)] == [f"/p{number:03}" for number in range(2, 102)]
            changes = [operation for operation in operations(there) if operation.endswith("_rule")]
            assert changes == ["create_rule", "delete_rule", "create_rule", "delete_rule", "create_rule"]

    asyncio.run(run())


def test_a_restarted_controller_finds_its_resources() -> None:
    async def run() -> None:
        async with lab(service("web", 80), ingress("web", ("/", "web", 80))) as there:
            await there.served("web")
            await there.quiet()
            await there.restart()
            there.writes.clear()
            await there.another_pass("web")
            await there.quiet()
            assert there.writes == []
            await there.store.delete(networking.Ingress, "web", "default")
            await there.gone("web")
            assert await there.target_groups() == []

    asyncio.run(run())


def test_what_another_client_makes_with_our_tags_is_found_and_what_it_deletes_is_missed() -> None:
    async def run() -> None:
        async with lab() as there:
            inventory, group = Inventory(there.aws, cluster_name="lockgate"), GroupId("", "edge")

            async def names() -> list[str]:
                return [resource for resource, _ in (await inventory.of(group)).target_groups]

            async def found(expected: list[str]) -> bool:
                return await names() == expected

            assert await names() == []
            tags = {CLUSTER_TAG: "lockgate", GroupId.STACK_TAG: str(group), GroupId.RESOURCE_TAG: "theirs"}
            answer = await there.aws.call(
                "elbv2",
                "create_target_group",
                Name="theirs",
                TargetType="lambda",
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
            await there.until(lambda: found(["theirs"]))
            arn = answer["TargetGroups"][0]["TargetGroupArn"]
            await there.aws.call("elbv2", "delete_target_group", TargetGroupArn=arn)
            assert await names() == []

    asyncio.run(run())


def test_changes_during_the_listing_of_the_account_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with lab() as there:
            inventory, group, real = Inventory(there.aws, cluster_name="lockgate"), GroupId("", "edge"), there.aws.list

            async def make(name: str) -> str:
                tags = {CLUSTER_TAG: "lockgate", GroupId.STACK_TAG: str(group), GroupId.RESOURCE_TAG: name}
                answer = await there.aws.call(
                    "elbv2",
                    "create_target_group",
                    Name=name,
                    TargetType="lambda",
                    Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                )
                arn: str = answer["TargetGroups"][0]["TargetGroupArn"]
                inventory.made(arn, group)
                return arn

            async def listing(service: str, operation: str, key: str, **parameters: Any) -> Any:
                found = await real(service, operation, key, **parameters)
                if operation == "describe_target_groups" and not parameters and not made:
                    made.append(await make("new"))
                    await there.aws.call("elbv2", "delete_target_group", TargetGroupArn=old)
                    inventory.gone(old, group)
                return found

            old, made = await make("old"), list[str]()
            monkeypatch.setattr(there.aws, "list", listing)
            assert [resource for resource, _ in (await inventory.of(group)).target_groups] == ["new"]

    asyncio.run(run())


def test_a_changed_setting_is_one_call() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), load_balancer_attributes="idle_timeout.timeout_seconds=60")
        async with lab(service("web", 80), web) as there:
            await there.served("web")
            await there.quiet()
            for settings, expected in (
                ({"healthcheck_path": "/ok"}, ["modify_target_group"]),
                ({"load_balancer_attributes": "idle_timeout.timeout_seconds=61"}, ["modify_load_balancer_attributes"]),
                ({"target_group_attributes": "slow_start.duration_seconds=30"}, ["modify_target_group_attributes"]),
                ({"target_group_attributes": None}, []),
                (
                    {"inbound_cidrs": "10.0.0.0/8"},
                    ["revoke_security_group_ingress", "authorize_security_group_ingress"],
                ),
                ({"tags": "team=edge"}, ["create_tags", *["add_tags"] * 4]),
                ({"tags": None}, ["delete_tags", *["remove_tags"] * 4]),
            ):  # fmt: skip
                there.writes.clear()
                await annotate(there, "web", **settings)
                assert operations(there) == expected, settings

    asyncio.run(run())


def test_ports_come_and_go() -> None:
    async def run() -> None:
        async with lab(service("web", 80), ingress("web", ("/", "web", 80))) as there:
            await there.issue(CERTIFICATE, "web.example")
            await there.served("web")
            both = '[{"HTTP": 80}, {"HTTPS": 443}]'
            await annotate(there, "web", listen_ports=both, certificate_arn=CERTIFICATE, ssl_redirect="443")
            http, https = await there.listeners()
            assert http["DefaultActions"][0]["RedirectConfig"]["Port"] == "443"
            assert http["Rules"] == []
            assert len(https["Rules"]) == 1
            other = CERTIFICATE.replace("1234-1234", "4321-4321")
            await there.issue(other, "other.example")
            await annotate(there, "web", certificate_arn=f"{other},{CERTIFICATE}", ssl_redirect=None)
            http, https = await there.listeners()
            assert len(http["Rules"]) == 1
            assert https["Certificates"] == [{"CertificateArn": other}]
            listed = await there.aws.list(
                "elbv2", "describe_listener_certificates", "Certificates", ListenerArn=https["ListenerArn"]
            )
            assert sorted((item["CertificateArn"], item["IsDefault"]) for item in listed) == sorted(
                [(other, True), (other, False), (CERTIFICATE, False)]
            )
            there.writes.clear()
            await there.another_pass("web")
            assert there.writes == []
            await annotate(there, "web", listen_ports='[{"HTTPS": 443}]', certificate_arn=other)
            [https] = await there.listeners()
            assert https["Port"] == 443
            status = (await there.store.get(networking.Ingress, "web", "default")).status.load_balancer.ingress[0]
            assert [port.port for port in status.ports] == [443]

    asyncio.run(run())


def test_certificates_are_found_by_host() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), listen_ports='[{"HTTPS": 443}]')
        web["spec"]["rules"][0]["host"] = "shop.example"
        async with lab(service("web", 80), web) as there:
            await there.event("FailedBuildModel", "no certificate found for host: shop.example")
            await there.issue(CERTIFICATE, "shop.example")
            await there.served("web")
            [https] = await there.listeners()
            assert https["Certificates"] == [{"CertificateArn": CERTIFICATE}]

    asyncio.run(run())


def test_a_certificate_is_requested_from_acm_and_deleted_with_its_ingress() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), create_acm_cert="true")
        web["spec"]["rules"][0]["host"] = "www.shop.example"
        settings = read_arguments(["--feature-gates=EnableCertificateManagement=true"], Settings()).settings
        async with lab(service("web", 80), web, settings=settings) as there:
            await there.event(
                "FailedDeployModel", 'pre-check failed for domain "www.shop.example": no hosted zone found'
            )
            await there.api.create_hosted_zone("shop.example", "Z0SHOP")

            async def records() -> list[str]:
                listed = await there.aws.list(
                    "route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId="Z0SHOP"
                )
                return [record["Name"] for record in listed if record["Type"] == "CNAME"]

            await there.until(records, "validation record")
            [certificate] = await there.aws.list("acm", "list_certificates", "CertificateSummaryList")
            await there.certify(certificate["CertificateArn"], "www.shop.example")
            await there.served("web")
            [listener] = await there.listeners()
            assert listener["Certificates"] == [{"CertificateArn": certificate["CertificateArn"]}]
            await there.quiet()
            there.writes.clear()
            await there.another_pass("web")
            assert there.writes == []
            await there.store.delete(networking.Ingress, "web", "default")
            await there.gone("web")
            assert await there.aws.list("acm", "list_certificates", "CertificateSummaryList") == []
            assert await records() == []

    asyncio.run(run())


def test_a_service_that_comes_later_and_one_that_changes() -> None:
    async def run() -> None:
        async with lab(ingress("web", ("/", "web", 80))) as there:
            await there.served("web")
            [listener] = await there.listeners()
            assert (
                listener["Rules"][0]["Actions"][0]["FixedResponseConfig"]["MessageBody"]
                == "Backend service does not exist"
            )
            await there.store.create(service("web", 80))

            async def forwards() -> Any:
                return (await there.listeners())[0]["Rules"][0]["Actions"][0]["Type"] == "forward"

            await there.until(forwards)
            await there.quiet()
            [group] = await there.target_groups()
            before = await there.targets(group["TargetGroupArn"])
            ports = [{"name": "p80", "port": 80, "nodePort": 30999}]
            await there.store.patch(core.Service, "web", "default", {"spec": {"ports": ports}})

            async def moved() -> Any:
                return ("i-0123456789abcdef0", 30999) in await there.targets(group["TargetGroupArn"])

            await there.until(moved)
            assert before != [("i-0123456789abcdef0", 30999)]
            assert [item["TargetGroupArn"] for item in await there.target_groups()] == [group["TargetGroupArn"]]

    asyncio.run(run())


def test_another_protocol_is_another_target_group() -> None:
    async def run() -> None:
        async with lab(service("web", 80), ingress("web", ("/", "web", 80))) as there:
            await there.served("web")
            await there.quiet()
            [before] = await there.target_groups()
            await annotate(there, "web", backend_protocol="HTTPS")
            [after] = await there.target_groups()
            assert (before["Protocol"], after["Protocol"]) == ("HTTP", "HTTPS")
            assert after["TargetGroupArn"] != before["TargetGroupArn"]
            there.writes.clear()
            await there.another_pass("web")
            assert there.writes == []

    asyncio.run(run())


def test_a_login_follows_its_secret() -> None:
    async def run() -> None:
        web = ingress(
            "web", ("/", "web", 80), certificate_arn=CERTIFICATE, auth_type="oidc",
            auth_idp_oidc='{"issuer": "https://i.example", "authorizationEndpoint": "https://i.example/a", '
            '"tokenEndpoint": "https://i.example/t", "userInfoEndpoint": "https://i.example/u", "secretName": "login"}',
        )  # fmt: skip
        async with lab(service("web", 80), web) as there:
            await there.issue(CERTIFICATE, "web.example")
            await there.event("FailedBuildModel", 'secrets "login" not found')
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "default"}}
            await there.store.create(secret | {"stringData": {"clientID": "one", "clientSecret": "s"}})
            await there.served("web")
            [listener] = await there.listeners()
            config = listener["Rules"][0]["Actions"][0]["AuthenticateOidcConfig"]
            assert config["ClientId"] == "one"
            await there.store.patch(core.Secret, "login", "default", {"stringData": {"clientID": "two"}})

            async def follows() -> Any:
                [now] = await there.listeners()
                return now["Rules"][0]["Actions"][0]["AuthenticateOidcConfig"]["ClientId"] == "two"

            await there.until(follows)
            await there.quiet()
            there.writes.clear()
            await there.another_pass("web")
            assert there.writes == []

    asyncio.run(run())


def test_classes_and_their_parameters() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80))
        del web["metadata"]["annotations"]["kubernetes.io/ingress.class"]
        web["spec"]["ingressClassName"] = "edge"
        parameters = {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "edge"}
        ours = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "edge"},
            "spec": {"controller": "ingress.k8s.aws/alb", "parameters": parameters},
        }
        async with lab(service("web", 80), ours, web) as there:
            await there.event(
                "FailedLoadGroupID", 'invalid ingress class: IngressClassParams.elbv2.k8s.aws "edge" not found'
            )
            await there.store.create(
                {
                    "apiVersion": "elbv2.k8s.aws/v1beta1",
                    "kind": "IngressClassParams",
                    "metadata": {"name": "edge"},
                    "spec": {"group": {"name": "platform"}, "tags": [{"key": "team", "value": "edge"}]},
                }
            )
            await there.served("web")
            assert (await there.store.get(networking.Ingress, "web", "default")).metadata.finalizers == (
                "group.ingress.k8s.aws/platform",
            )

    asyncio.run(run())


def test_a_deleted_class_stops_its_group_but_deletes_nothing() -> None:
    async def run() -> None:
        web = ingress("web", ("/", "web", 80), group__name="shared")
        del web["metadata"]["annotations"]["kubernetes.io/ingress.class"]
        web["spec"]["ingressClassName"] = "edge"
        ours = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "edge"},
            "spec": {"controller": "ingress.k8s.aws/alb"},
        }
        other = ingress("other", ("/o", "web", 80), group__name="shared")
        async with lab(service("web", 80), ours, web, other) as there:
            await there.served("web")
            await there.quiet()
            rules = (await there.listeners())[0]["Rules"]
            await there.store.delete(networking.IngressClass, "edge")
            why = 'invalid ingress class: IngressClass.networking.k8s.io "edge" not found'
            reported = f"Ingress: default/web: Ingress has invalid IngressClass configuration: {why}"
            await there.event("FailedLoadGroupID", reported, count=2)
            assert (await there.listeners())[0]["Rules"] == rules

    asyncio.run(run())


def test_an_ingress_that_moves_to_another_group_holds_one_finalizer_in_the_end() -> None:
    async def run() -> None:
        async with lab(service("web", 80), ingress("web", ("/", "web", 80))) as there:
            before = await there.served("web")
            await annotate(there, "web", group__name="platform")

            async def moved() -> Any:
                now = await there.store.get(networking.Ingress, "web", "default")
                entries = now.status.load_balancer.ingress
                return now.metadata.finalizers == ("group.ingress.k8s.aws/platform",) and entries[0].hostname != before

            await there.until(moved)
            await there.quiet()
            assert len(await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")) == 1

    asyncio.run(run())


def test_a_web_acl_is_associated_and_disassociated() -> None:
    async def run() -> None:
        async with lab(service("web", 80), ingress("web", ("/", "web", 80))) as there:
            await there.served("web")
            visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "edge"}
            made = await there.aws.call(
                "wafv2", "create_web_acl", Name="edge", Scope="REGIONAL", DefaultAction={"Allow": {}},
                VisibilityConfig=visibility, Rules=[],
            )  # fmt: skip
            [balancer] = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")

            async def acl() -> str:
                answer = await there.aws.call(
                    "wafv2", "get_web_acl_for_resource", ResourceArn=balancer["LoadBalancerArn"]
                )
                return str((answer.get("WebACL") or {}).get("ARN", ""))

            await annotate(there, "web", wafv2_acl_name="edge")
            assert await acl() == made["Summary"]["ARN"]
            there.writes.clear()
            await there.another_pass("web")
            assert there.writes == []
            await annotate(there, "web", wafv2_acl_name="none")
            assert await acl() == ""

    asyncio.run(run())


def test_security_groups_of_the_users_own() -> None:
    async def run() -> None:
        async with lab(service("web", 80)) as there:
            own = await there.aws.call(
                "ec2", "create_security_group", GroupName="own", Description="own", VpcId=there.vpc_id
            )
            await there.store.create(ingress("web", ("/", "web", 80), security_groups=own["GroupId"]))
            await there.served("web")
            await there.quiet()
            [balancer] = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
            assert balancer["SecurityGroups"] == [own["GroupId"]]
            groups = await there.aws.list("ec2", "describe_security_groups", "SecurityGroups")
            assert not [group for group in groups if group["GroupName"].startswith("k8s-")]
            await annotate(there, "web", security_groups=None)
            [balancer] = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
            assert len(balancer["SecurityGroups"]) == 2
            await there.store.delete(networking.Ingress, "web", "default")
            await there.gone("web")
            groups = await there.aws.list("ec2", "describe_security_groups", "SecurityGroups")
            assert own["GroupId"] in {group["GroupId"] for group in groups}

    asyncio.run(run())


def test_flags_change_what_is_made() -> None:
    async def run() -> None:
        settings = Settings(default_scheme="internet-facing", default_tags={"owner": "platform"})
        async with lab(service("web", 80), ingress("web", ("/", "web", 80)), settings=settings) as there:
            await there.served("web")
            [balancer] = await there.aws.list("elbv2", "describe_load_balancers", "LoadBalancers")
            assert balancer["Scheme"] == "internet-facing"
            tags = await there.aws.call("elbv2", "describe_tags", ResourceArns=[balancer["LoadBalancerArn"]])
            assert {"Key": "owner", "Value": "platform"} in tags["TagDescriptions"][0]["Tags"]

    asyncio.run(run())
