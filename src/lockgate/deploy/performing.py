"""Performs one step of a plan. Each is idempotent: it looks first, and writes only what differs.

A wait ends with the reason of the component that knows it: the condition of a Certificate, the event of an Ingress, the
state of a load balancer, ACM's failure.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final, assert_never

from lockgate.controllers.aws import AwsError
from lockgate.controllers.external_dns.route53 import read_zone, write_records
from lockgate.deploy import helm, identities
from lockgate.deploy.account import Account, is_denied
from lockgate.deploy.cluster import Cluster, Refused
from lockgate.deploy.observing import plural_of, version_of
from lockgate.deploy.planning.adopting import handover
from lockgate.deploy.planning.certificates import Choice
from lockgate.deploy.planning.objects import ObjectChange
from lockgate.deploy.planning.plan import Plan, Wishes, is_ready
from lockgate.deploy.planning.seen import OWNER_LABEL, SHIFT_MANAGER, managers
from lockgate.deploy.planning.steps import (
    Action,
    Annotate,
    ApplyObject,
    Associate,
    AwaitCertificate,
    AwaitIssued,
    AwaitLoadBalancer,
    AwaitTargets,
    CreateNamespace,
    CreateProvider,
    CreateZone,
    DeleteObject,
    InstallRelease,
    PutRole,
    RequestCertificate,
    RestartPods,
    ShiftRequests,
    ValidateCertificate,
    WriteRecords,
)
from lockgate.deploy.shifting import Prober, Shifter
from lockgate.deploy.waiting import FIRST_PAUSE, LAST_PAUSE, StepFailed, until
from lockgate.dns.model import Records, RecordSet
from lockgate.dns.plan import Change
from lockgate.resources import cert_manager, core, networking
from lockgate.resources.model import JsonObject, ObjectKey, Resource

_SETTLE: Final = 60.0  # in which AWS may not know yet what was just made
_TTL: Final = 300


class Performer:
    """`report` prints a line about a wait."""

    def __init__(
        self,
        cluster: Cluster,
        account: Account,
        plan: Plan,
        wishes: Wishes,
        report: Callable[[str], None],
        prober: Prober,
    ) -> None:
        self._cluster = cluster
        self._account = account
        self._plan = plan
        self._wishes = wishes
        self._report = report
        self._prober = prober
        self._edge = plan.intent.name
        self._arns: dict[str, str] = {each.reference: each.arn for each in plan.choices if each.found}
        self._zone_ids = {each.name: each.id for each in plan.seen.zones}

    async def _wait(self, open_: Callable[[], Awaitable[str]], what: str) -> None:
        await until(open_, what, self._report)

    async def perform(self, action: Action) -> None:
        """Raises `StepFailed`, `Unreachable`."""
        try:
            await self._perform(action)
        except AwsError as error:
            raise StepFailed(error.message if is_denied(error) else str(error)) from error
        except Refused as error:
            raise StepFailed(error.message) from error

    async def _perform(self, action: Action) -> None:
        match action:
            case CreateZone(name):
                await self._create_zone(name)
            case RequestCertificate(choice):
                await self._request(choice)
            case ValidateCertificate(choice):
                await self._validate(choice)
            case AwaitIssued(choice):
                await self._wait(lambda: self._issued(choice), f"ACM to issue {', '.join(choice.names)}")
            case CreateNamespace(name):
                await self._create_namespace(name)
            case InstallRelease(release):
                await helm.install(release, self._cluster, self._edge, self._report)
            case CreateProvider(url):
                await identities.create_provider(self._account, url, self._edge)
            case PutRole(role):
                await identities.put_role(self._account, role, self._edge)
            case Associate():
                await identities.associate(self._account, self._plan.seen.place.cluster, action, self._edge)
            case Annotate(bearer, arn):
                await identities.annotate(self._cluster, bearer, arn)
            case RestartPods():
                await identities.restart(self._cluster, action, self._report)
            case ApplyObject(change):
                await self._apply(change)
            case ShiftRequests(shift):
                parts = (self._cluster, self._account, self._plan, self._wishes, self._report, self._prober)
                await Shifter(*parts, self._write).shift(shift)
            case DeleteObject(key):
                await self._delete(key)
            case AwaitCertificate(key):
                await self._wait(lambda: self._certified(key), str(key))
            case AwaitLoadBalancer(key):
                await self._wait(lambda: self._balanced(key), f"the load balancer of {key}")
            case AwaitTargets(key):
                await self._wait(lambda: self._healthy(key), f"healthy targets of {key}")
            case WriteRecords(zone, changes):
                await self._write(self._zone_ids.get(zone, zone), changes)
            case _:
                assert_never(action)

    # --- Route 53 and ACM ------------------------------------------------------------------------------------------

    async def _create_zone(self, name: str) -> None:
        token = sha256(f"{self._edge}/{name}".encode()).hexdigest()[:32]
        answer = await self._account.call(
            "route53",
            "create_hosted_zone",
            Name=name,
            CallerReference=token,
            HostedZoneConfig={"Comment": f"lockgate: edge {self._edge}"},
        )
        zone = answer["HostedZone"]["Id"].rpartition("/")[2]
        self._zone_ids[f"{name}."] = zone
        await self._account.call(
            "route53",
            "change_tags_for_resource",
            ResourceType="hostedzone",
            ResourceId=zone,
            AddTags=[{"Key": OWNER_LABEL, "Value": self._edge}],
        )
        servers = ", ".join(answer.get("DelegationSet", {}).get("NameServers", ()))
        self._report(f"{name} must be delegated to {servers}: write these NS records in the zone above it")

    async def _request(self, choice: Choice) -> None:
        first, *others = choice.names
        answer = await self._account.call(
            "acm",
            "request_certificate",
            DomainName=first,
            ValidationMethod="DNS",
            IdempotencyToken=choice.token,
            Tags=[{"Key": OWNER_LABEL, "Value": self._edge}],
            **({"SubjectAlternativeNames": others} if others else {}),
        )
        self._arns[choice.reference] = answer["CertificateArn"]

    async def _described(self, choice: Choice) -> dict[str, Any]:
        """ACM may not know a certificate at once that it has just accepted."""
        end = asyncio.get_running_loop().time() + _SETTLE
        while True:
            self._account.forget()
            try:
                answer = await self._account.call(
                    "acm", "describe_certificate", CertificateArn=self._arns[choice.reference]
                )
            except AwsError as error:
                if error.code != "ResourceNotFoundException" or asyncio.get_running_loop().time() > end:
                    raise
                await asyncio.sleep(FIRST_PAUSE)
                continue
            found: dict[str, Any] = answer["Certificate"]
            return found

    async def _validate(self, choice: Choice) -> None:
        asked: dict[str, str] = {}

        async def known() -> str:
            options = (await self._described(choice)).get("DomainValidationOptions") or ()
            if not options or not all("ResourceRecord" in option for option in options):
                return "ACM has not said yet which records it wants"
            asked.update((each["ResourceRecord"]["Name"], each["ResourceRecord"]["Value"]) for each in options)
            return ""

        await self._wait(known, "the validation records")
        by_zone: dict[str, list[Change]] = {}
        for name, value in asked.items():
            zone = self._zone_of(name)
            record = RecordSet(name.lower().rstrip(".") + ".", "CNAME", Records(_TTL, (value,)))
            by_zone.setdefault(zone, []).append(Change("UPSERT", record))
        for zone, changes in by_zone.items():
            await self._write(zone, tuple(changes))

    def _zone_of(self, name: str) -> str:
        bare = name.rstrip(".")
        names = [each for each in self._zone_ids if bare.endswith(f".{each.rstrip('.')}")]
        if not names:
            raise StepFailed(f"no hosted zone of the account has {bare}")
        return self._zone_ids[max(names, key=len)]

    async def _write(self, zone: str, changes: tuple[Change, ...]) -> None:
        """Writes what differs from the zone as it is now, and waits until all of Route 53's servers have it."""
        self._account.forget()
        there = {each.key: each for each in (await read_zone(self._account, zone, "")).record_sets}
        needed = [
            each
            for each in changes
            if (there.get(each.record_set.key) != each.record_set if each.action != "DELETE" else True)
        ]
        if not needed:
            return
        change = await self._busy(lambda: write_records(self._account, zone, needed))

        async def in_sync() -> str:
            self._account.forget()
            answer = await self._account.call("route53", "get_change", Id=change)
            return "" if answer["ChangeInfo"]["Status"] == "INSYNC" else "not yet on all servers of Route 53"

        await self._wait(in_sync, "the records")

    async def _busy(self, call: Callable[[], Awaitable[str]]) -> str:
        """Route 53 takes one change of a zone at a time."""
        for attempt in range(8):
            try:
                return await call()
            except AwsError as error:
                if error.code != "PriorRequestNotComplete" or attempt == 7:
                    raise
            await asyncio.sleep(random.uniform(0, min(0.5 * 2**attempt, LAST_PAUSE)))  # noqa: S311  jitter
        raise AssertionError("unreachable")

    async def _issued(self, choice: Choice) -> str:
        found = await self._described(choice)
        status = found["Status"]
        if status == "ISSUED":
            return ""
        if status != "PENDING_VALIDATION":
            why = found.get("FailureReason") or status
            raise StepFailed(f"ACM does not issue {self._arns[choice.reference]}: {why}")
        open_ = [
            each["DomainName"] for each in found["DomainValidationOptions"] if each["ValidationStatus"] != "SUCCESS"
        ]
        return f"ACM has not validated {', '.join(open_) or 'it'}"

    # --- the cluster -------------------------------------------------------------------------------------------------

    async def _create_namespace(self, name: str) -> None:
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {OWNER_LABEL: self._edge}},
        }
        await self._cluster.apply(manifest, "namespaces", force=True)

    async def _apply(self, change: ObjectChange) -> None:
        plural = plural_of(change.key, self._plan.seen.served) or plural_of(change.key, await self._cluster.served())
        if plural is None:
            raise StepFailed(f"the cluster does not serve {change.key}: its CRD is missing")
        manifest = self._with_arns(change.manifest)
        force = self._wishes.force_conflicts or self._wishes.adopt
        end = asyncio.get_running_loop().time() + _SETTLE
        while True:
            try:
                if self._wishes.adopt:
                    await self._take_over(manifest, plural)
                done = await self._cluster.apply(manifest, plural, force=force)
            except Refused as error:
                if not force and error.conflicts and {each for _, each in error.conflicts} == {SHIFT_MANAGER}:
                    force = True
                    continue
                # The webhook of a controller that has just been installed does not answer at once. Another client may
                # change an object while it is taken over.
                changed = self._wishes.adopt and error.code == 409 and not error.conflicts
                if not (changed or _is_starting(error)) or asyncio.get_running_loop().time() > end:
                    raise
                await asyncio.sleep(1.0)
            else:
                break
        if SHIFT_MANAGER in managers(done):  # the weights of a shift have served
            bare = {key: manifest[key] for key in ("apiVersion", "kind")}
            names = {key: value for key, value in manifest["metadata"].items() if key in ("name", "namespace")}
            await self._cluster.apply({**bare, "metadata": names}, plural, manager=SHIFT_MANAGER)

    async def _take_over(self, manifest: JsonObject, plural: str) -> None:
        metadata = manifest["metadata"]
        at = manifest["apiVersion"], plural, metadata["name"], metadata.get("namespace", "")
        raw = await self._cluster.get(*at)
        if raw is not None and (patch := handover(raw)) is not None:
            await self._cluster.patch(*at, patch)

    async def _delete(self, key: ObjectKey) -> None:
        plural, version = plural_of(key, self._plan.seen.served), version_of(key, self._plan.seen.served)
        assert plural is not None, "it was listed"
        at = version, plural, key.name, key.namespace
        await self._cluster.delete(*at)

        async def gone() -> str:
            """A controller may delete first what it made for the object."""
            left = await self._cluster.get(*at)
            return f"held by {', '.join(left['metadata'].get('finalizers') or ())}" if left is not None else ""

        await self._wait(gone, f"{key} to go")

    def _with_arns(self, manifest: JsonObject) -> JsonObject:
        from lockgate.deploy.planning.intent import labelled

        return labelled(manifest, self._edge, self._arns)

    async def _certified(self, key: ObjectKey) -> str:
        raw = await self._cluster.get("cert-manager.io/v1", "certificates", key.name, key.namespace)
        if raw is None:
            raise StepFailed(f"{key} was deleted")
        found = cert_manager.Certificate.model_validate(raw)
        if is_ready(found):
            return ""
        conditions = [each for each in found.status.conditions if each.type in ("Issuing", "Ready")]
        reasons = list(dict.fromkeys(f"{each.reason}: {each.message}" for each in conditions if each.message))
        failed = next((each for each in conditions if each.type == "Issuing" and each.reason == "Failed"), None)
        if failed is not None:
            raise StepFailed(f"cert-manager does not issue {key}: {failed.message}")
        return "; ".join(reasons) or "cert-manager has not looked at it"

    async def _front(self, key: ObjectKey) -> networking.Ingress | core.Service:
        """An Ingress, or a Service with a load balancer."""
        kind = networking.Ingress if key.kind == "Ingress" else core.Service
        raw = await self._cluster.get(kind.KIND.api_version, kind.KIND.plural, key.name, key.namespace)
        if raw is None:
            raise StepFailed(f"{key} was deleted")
        return kind.model_validate(raw)

    async def _balanced(self, key: ObjectKey) -> str:
        front = await self._front(key)
        names = [each.hostname for each in front.status.load_balancer.ingress if each.hostname]
        if not names:
            return await self._event(front) or "the AWS Load Balancer Controller has not published it"
        balancer = await self._balancer(names[0])
        if balancer is None:
            return f"AWS does not have {names[0]} yet"
        state = balancer["State"]
        if state["Code"] == "failed":
            raise StepFailed(f"{names[0]} has failed: {state.get('Reason', '')}")
        return "" if state["Code"] == "active" else f"{names[0]} is {state['Code']}"

    async def _event(self, about: Resource) -> str:
        """The newest event about an object, if it is a warning."""
        listed = await self._cluster.objects("v1", "events", namespace=about.namespace)
        events = [each for each in listed if (each.get("involvedObject") or {}).get("uid") == about.metadata.uid]
        latest = max(events, key=_when, default=None)
        return f"{latest['reason']}: {latest['message']}" if latest and latest.get("type") == "Warning" else ""

    async def _balancer(self, dns_name: str) -> dict[str, Any] | None:
        self._account.forget()
        for each in await self._account.list("elbv2", "describe_load_balancers", "LoadBalancers"):
            if each["DNSName"].lower() == dns_name.lower():
                found: dict[str, Any] = each
                return found
        return None

    async def _healthy(self, key: ObjectKey) -> str:
        front = await self._front(key)
        balancer = await self._balancer(front.status.load_balancer.ingress[0].hostname or "")
        if balancer is None:
            return "the load balancer is gone"
        groups = await self._account.list(
            "elbv2", "describe_target_groups", "TargetGroups", LoadBalancerArn=balancer["LoadBalancerArn"]
        )
        for group in groups:
            listed = await self._account.list(
                "elbv2", "describe_target_health", "TargetHealthDescriptions", TargetGroupArn=group["TargetGroupArn"]
            )
            states = [each["TargetHealth"] for each in listed]
            if not any(each["State"] == "healthy" for each in states) or any(
                each["State"] == "initial" for each in states
            ):
                reasons = dict.fromkeys(
                    each.get("Description") or each.get("Reason") or each["State"] for each in states
                )
                return f"{group['TargetGroupName']}: {', '.join(reasons) or 'no targets are registered'}"
        return ""


def _is_starting(error: Refused) -> bool:
    texts = ("no endpoints available", "failed calling webhook", "certificate signed by unknown authority")
    return error.code >= 500 and any(text in error.message for text in texts)


def _when(event: JsonObject) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
