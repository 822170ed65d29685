"""Reads a cluster and an account for a plan: everything that is independent at the same time, and each thing once.

What the credentials may not read is noted with what the plan lacks because of it. Only a plan that would be wrong
without it fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lockgate.controllers import elbv2
from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.account import KEY_TYPES
from lockgate.controllers.external_dns.route53 import read_zone
from lockgate.deploy import identities
from lockgate.deploy.account import Account, Denied, Failed, NoAccount, is_denied
from lockgate.deploy.cluster import Cluster, Refused
from lockgate.deploy.planning import edges
from lockgate.deploy.planning.adopting import handed_over
from lockgate.deploy.planning.certificates import LIVE, choose
from lockgate.deploy.planning.intent import Intent, intend, labelled
from lockgate.deploy.planning.objects import merged, pruned
from lockgate.deploy.planning.seen import (
    OWNER_LABEL,
    SHIFT_MANAGER,
    Acm,
    DryRun,
    Health,
    Place,
    Seen,
    Served,
    Unread,
)
from lockgate.deploy.stacks import stacks
from lockgate.dns.model import Alias, Zone
from lockgate.edge.manifests import Manifests
from lockgate.edge.options import Options
from lockgate.edge.supply.hosts import hosts_of, zone_of
from lockgate.loadbalancer.discovered import Discovered
from lockgate.loadbalancer.quotas import LOAD_BALANCERS, NETWORK_LOAD_BALANCERS, TARGET_GROUPS
from lockgate.resources import cert_manager, core, eks, istio, networking, workloads
from lockgate.resources import elbv2 as bindings
from lockgate.resources.model import JsonObject, ObjectKey, Resource

READ: Final[tuple[type[Resource], ...]] = (
    core.Namespace,
    core.Node,
    core.Pod,
    core.Secret,
    core.Service,
    core.EndpointSlice,
    workloads.Deployment,
    networking.Ingress,
    networking.IngressClass,
    bindings.IngressClassParams,
    bindings.TargetGroupBinding,
    eks.AutoIngressClassParams,
    cert_manager.Certificate,
    cert_manager.Issuer,
    cert_manager.ClusterIssuer,
    istio.Gateway,
    istio.VirtualService,
    istio.DestinationRule,
    istio.ServiceEntry,
    istio.WorkloadEntry,
    istio.ProxyConfig,
    istio.AuthorizationPolicy,
    istio.RequestAuthentication,
    istio.EnvoyFilter,
    istio.IstioOperator,
)
_CORE: Final = {kind.KIND.kind for kind in READ if not kind.KIND.group}


class Observer:
    """Reads for one edge. `place` and `zones` are read first, because the manifests' placeholders need them."""

    def __init__(
        self,
        cluster: Cluster,
        account: Account,
        manifests: Manifests,
        options: Options,
        *,
        identity: str = "",
        adopt: bool = False,
    ) -> None:
        """With `identity`, a value of `--identity`, the roles of service accounts are read, too. With `adopt`, dry runs
        are as after the handover of kubectl's fields."""
        self._identity = identity
        self._adopt = adopt
        self._cluster = cluster
        self._account = account
        self._manifests = manifests
        self._options = options
        self._unread: list[Unread] = []

    async def observe(self) -> tuple[Intent, Seen]:
        """Raises `NoAccount`, `Denied`, `Failed`, `Unreachable`."""
        self._account.forget()
        self._unread = []
        try:
            return await self._observe()
        except AwsError as error:
            raise (Denied(error.message) if is_denied(error) else Failed(str(error))) from error

    async def _observe(self) -> tuple[Intent, Seen]:
        place, zone_names = await asyncio.gather(self._place(), self._zone_names())
        intent = self._intent(place, zone_names)
        (served, resources, raw), zones, certificates, described, limits = await asyncio.gather(
            self._objects(intent),
            self._zones(intent, zone_names),
            self._certificates(),
            self._described(place),
            self._limits(),
        )
        zones = (*zones, *await self._former_zones(intent.name, resources, zones, zone_names))
        seen = Seen(described, served, resources, raw, zones, certificates, limits=limits)
        seen, dry_runs = await asyncio.gather(self._identities(intent, seen), self._dry_runs(intent, seen))
        seen = replace(seen, dry_runs=dry_runs)
        arns = {each.reference: each.arn for each in self._chosen(intent, seen) if each.found}
        overlay = edges.overlaid(intent, seen, arns)
        gone = frozenset(pruned(intent, seen))
        leaving = [each for each in resources if each.key in gone]
        groups = await stacks(self._account, overlay, intent.keys, leaving, described, self._unread)
        seen = await self._balancers(replace(seen, groups=groups))
        return intent, replace(seen, unread=tuple(self._unread))

    # --- where -------------------------------------------------------------------------------------------------------

    async def _place(self) -> Place:
        # The cluster's first call is alone, so that an exec plugin runs once.
        version, identity = await asyncio.gather(self._cluster.version(), self._caller())
        context = self._cluster.context
        return Place(
            account=identity["Account"],
            region=self._account.region,
            caller=identity["Arn"],
            context=context.name,
            server=context.server,
            version=version,
            cluster=context.cluster,
        )

    async def _caller(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = await self._account.call("sts", "get_caller_identity")
        except AwsError as error:
            raise NoAccount(f"{error.code}: {error.message}") from error
        return found

    async def _described(self, place: Place) -> Place:
        if not place.cluster:
            lacks = "the cluster's VPC, and with it subnets and security groups"
            self._unread.append(Unread("the cluster's name in EKS", "the kubeconfig does not have it", lacks))
            return place
        try:
            found = (await self._account.call("eks", "describe_cluster", name=place.cluster))["cluster"]
        except AwsError as error:
            self._unread.append(Unread(f"eks:DescribeCluster {place.cluster}", error.message, "the cluster's VPC"))
            return place
        if (there := found.get("endpoint", "")) and there.rstrip("/").lower() != place.server.rstrip("/").lower():
            lacks = "nothing, but the context and the account may not belong together"
            self._unread.append(Unread("the cluster", f"EKS has {there}, and the context {place.server}", lacks))
        return replace(
            place,
            vpc_id=(found.get("resourcesVpcConfig") or {}).get("vpcId", ""),
            issuer=((found.get("identity") or {}).get("oidc") or {}).get("issuer", ""),
            auto_mode=bool((found.get("computeConfig") or {}).get("enabled")),
        )

    def _intent(self, place: Place, zones: Sequence[tuple[str, str]]) -> Intent:
        """The account's zones decide the names of certificates, so those of the edge's hosts count as named."""
        where = {"account": place.account, "region": place.region}
        first = intend(self._manifests, self._options, **where, without_keys=bool(self._identity))
        hosts = first.planned.supply.hosts
        ids = {each.zone_id for each in first.planned.supply.zones if each.zone_id}
        names = dict(reversed(zones))
        names.update({name: id_ for name, id_ in zones if id_ in ids})
        used = {found: names[found] for host in hosts if (found := zone_of(host.removeprefix("*."), names))}
        options = replace(self._options, hosted_zones={**used, **self._options.hosted_zones})
        return intend(self._manifests, options, **where, without_keys=bool(self._identity))

    # --- the cluster -------------------------------------------------------------------------------------------------

    async def _objects(
        self, intent: Intent
    ) -> tuple[dict[tuple[str, str], Served], tuple[Resource, ...], dict[ObjectKey, JsonObject]]:
        served = await self._cluster.served()
        kinds = [kind for kind in READ if kind.KIND.kind in _CORE or kind.KIND.group_kind in served]
        listed = await asyncio.gather(*(self._listed(kind, served) for kind in kinds))
        raw: dict[ObjectKey, JsonObject] = {}
        resources: list[Resource] = []
        for kind, items in zip(kinds, listed, strict=True):
            for item in items:
                made = kind.model_validate({**item, "apiVersion": kind.KIND.api_version, "kind": kind.KIND.kind})
                raw[made.key] = item
                resources.append(made)
        others = [each for each in intent.documents if each.resource is None or type(each.resource) not in READ]
        for document, found in zip(
            others, await asyncio.gather(*(self._one(each.key, each.manifest, served) for each in others)), strict=True
        ):
            if found is not None:
                raw[document.key] = found
                if document.resource is not None:
                    resources.append(type(document.resource).model_validate(found))
        return served, tuple(resources), raw

    async def _listed(self, kind: type[Resource], served: dict[tuple[str, str], Served]) -> list[JsonObject]:
        """Of Secrets only names and annotations: their values are never read."""
        described = served.get(kind.KIND.group_kind)
        version = next((each for each in kind.KIND.versions if described is None or each in described.versions), "")
        if not version:
            return []
        api_version = f"{kind.KIND.group}/{version}" if kind.KIND.group else version
        try:
            return await self._cluster.objects(api_version, kind.KIND.plural, metadata_only=kind is core.Secret)
        except Refused as error:
            self._unread.append(
                Unread(f"list {kind.KIND.plural}", error.message, f"all that {kind.KIND.plural} decide")
            )
            return []

    async def _one(
        self, key: ObjectKey, manifest: JsonObject, served: dict[tuple[str, str], Served]
    ) -> JsonObject | None:
        plural = plural_of(key, served)
        if plural is None:
            return None
        try:
            return await self._cluster.get(manifest["apiVersion"], plural, key.name, key.namespace)
        except Refused as error:
            self._unread.append(Unread(f"get {key}", error.message, "whether it exists"))
            return None

    async def _dry_runs(self, intent: Intent, seen: Seen) -> dict[ObjectKey, DryRun]:
        arns = {each.reference: each.arn for each in self._chosen(intent, seen) if each.found}
        spaces = {key.name for key in seen.raw if key.kind == "Namespace"}
        defined = set(_defined(intent))
        keys, tasks = [], []
        for document in intent.documents:
            plural = plural_of(document.key, seen.served)
            is_defined_first = plural is None and (document.key.group, document.key.kind) in defined
            if is_defined_first or (document.key.namespace and document.key.namespace not in spaces):
                continue  # the CRD or the namespace is created first
            keys.append(document.key)
            manifest = labelled(document.manifest, intent.name, arns)
            tasks.append(self._dry_run(manifest, plural, seen.raw.get(document.key)))
        found = dict(zip(keys, await asyncio.gather(*tasks), strict=True))
        if any(each.local for each in found.values()):
            lacks = "defaults, and what admission webhooks would refuse: a dry run needs the right to patch"
            self._unread.append(Unread("server-side dry runs", "the credentials may not patch", lacks))
        return found

    async def _dry_run(self, manifest: JsonObject, plural: str | None, before: JsonObject | None) -> DryRun:
        if plural is None:
            kind = manifest["kind"]
            return DryRun(None, f"the cluster does not serve {kind} of {manifest['apiVersion']}: its CRD is missing")
        try:
            return DryRun(self._adopted(await self._cluster.apply(manifest, plural, dry_run=True)))
        except Refused as error:
            if error.code == 403 and error.reason == "Forbidden" and "admission webhook" not in error.message:
                return DryRun(merged(before, manifest) if before else None, local=True)
            if error.conflicts:
                forced = await self._cluster.apply(manifest, plural, dry_run=True, force=True)
                conflicts = tuple(each for each in error.conflicts if each[1] != SHIFT_MANAGER)
                return DryRun(self._adopted(forced), conflicts=conflicts)
            return DryRun(None, error.message)

    def _adopted(self, result: JsonObject) -> JsonObject:
        return handed_over(result) if self._adopt else result

    # --- the account -------------------------------------------------------------------------------------------------

    async def _zone_names(self) -> list[tuple[str, str]]:
        """Name and ID of the account's public zones."""
        listed = await self._account.list("route53", "list_hosted_zones", "HostedZones")
        return [
            (each["Name"].rstrip("."), each["Id"].rpartition("/")[2])
            for each in listed
            if not each.get("Config", {}).get("PrivateZone")
        ]

    async def _zones(self, intent: Intent, names: Sequence[tuple[str, str]]) -> tuple[Zone, ...]:
        """Those of the edge, with all their records."""
        used = {(each.name, each.zone_id) for each in intent.planned.supply.zones}
        wanted = [(name, id_) for name, id_ in names if {(name, id_), (name, None)} & used]
        return tuple(await asyncio.gather(*(read_zone(self._account, id_, name) for name, id_ in wanted)))

    async def _former_zones(
        self, edge: str, resources: Sequence[Resource], there: Sequence[Zone], names: Sequence[tuple[str, str]]
    ) -> tuple[Zone, ...]:
        """Those of hosts that objects of this edge have, and its manifests no longer: their records are deleted."""
        ids, read = dict(reversed(names)), {each.name.rstrip(".") for each in there}
        ours = (each for each in resources if each.metadata.labels.get(OWNER_LABEL) == edge)
        named = (zone_of(host.removeprefix("*."), ids) for each in ours for host in hosts_of(each))
        left = dict.fromkeys(each for each in named if each and each not in read)
        return tuple(await asyncio.gather(*(read_zone(self._account, ids[each], each) for each in left)))

    async def _certificates(self) -> tuple[Acm, ...]:
        listed = await self._account.list(
            "acm",
            "list_certificates",
            "CertificateSummaryList",
            CertificateStatuses=[*LIVE, "FAILED", "VALIDATION_TIMED_OUT"],
            Includes={"keyTypes": list(KEY_TYPES)},
        )
        return tuple(await asyncio.gather(*map(self._certificate, listed)))

    async def _certificate(self, item: Any) -> Acm:
        found = Acm(
            item["CertificateArn"],
            tuple(item.get("SubjectAlternativeNameSummaries") or (item.get("DomainName", ""),)),
            item.get("Status", "ISSUED"),
            in_use=bool(item.get("InUse")),
            not_after=str(item.get("NotAfter", "")),
            imported=item.get("Type") == "IMPORTED",
        )
        if found.status == "ISSUED" and not item.get("HasAdditionalSubjectAlternativeNames"):
            return found
        answer = await self._account.call("acm", "describe_certificate", CertificateArn=found.arn)
        described = answer["Certificate"]
        return replace(
            found,
            names=tuple(described.get("SubjectAlternativeNames") or found.names),
            failure=str(described.get("FailureReason") or ""),
            records=tuple(
                dict.fromkeys(
                    (option["ResourceRecord"]["Name"], option["ResourceRecord"]["Value"])
                    for option in described.get("DomainValidationOptions", ())
                    if "ResourceRecord" in option
                )
            ),
        )

    async def _limits(self) -> dict[str, int]:
        answer = await self._optional(
            "elasticloadbalancing:DescribeAccountLimits",
            self._account.list("elbv2", "describe_account_limits", "Limits"),
            "quotas",
        )
        return {each["Name"]: int(each["Max"]) for each in answer or ()}

    async def _identities(self, intent: Intent, seen: Seen) -> Seen:
        if not self._identity:
            return seen
        try:
            return await identities.read(self._account, self._cluster, seen, intent.name, self._identity)
        except Refused as error:
            raise Denied(error.message) from error

    async def _balancers(self, seen: Seen) -> Seen:
        """The load balancers of our groups, and those that our zones' records lead to, with all their settings."""
        names = {
            record.data.dns_name.rstrip(".").removeprefix("dualstack.").lower()
            for zone in seen.zones
            for record in zone.record_sets
            if isinstance(record.data, Alias)
        }
        listed = await self._account.list("elbv2", "describe_load_balancers", "LoadBalancers")
        groups = await self._account.list("elbv2", "describe_target_groups", "TargetGroups")
        arns = {each["LoadBalancerArn"] for each in listed if each["DNSName"].lower() in names}
        for group in seen.groups:
            arns |= {balancer.arn for balancer in group.existing.load_balancers}
        attached = {each["TargetGroupArn"] for each in groups if arns & set(each.get("LoadBalancerArns", ()))} | {
            found.reference for group in seen.groups for _, found in group.existing.target_groups
        }
        counts = {
            LOAD_BALANCERS: sum(each.get("Type") == "application" for each in listed),
            NETWORK_LOAD_BALANCERS: sum(each.get("Type") == "network" for each in listed),
            TARGET_GROUPS: len(groups),
        }
        if not arns:
            return replace(seen, counts=counts)
        answers = await elbv2.read(self._account, arns | attached)
        return replace(
            seen,
            counts=counts,
            balancers=Discovered().after(answers, None, lambda arn, fault: None),
            states={each["LoadBalancerArn"]: each["State"]["Code"] for each in answers.load_balancers},
            health={
                arn: tuple(
                    Health(
                        each["Target"]["Id"],
                        each["Target"]["Port"],
                        each["TargetHealth"]["State"],
                        each["TargetHealth"].get("Reason", ""),
                    )
                    for each in items
                )
                for arn, items in answers.target_health.items()
            },
        )

    async def _optional(self, action: str, read: Awaitable[list[Any]], lacks: str) -> list[Any] | None:
        try:
            return await read
        except AwsError as error:
            if not is_denied(error):
                raise
            self._unread.append(Unread(action, error.message, lacks))
            return None

    def _chosen(self, intent: Intent, seen: Seen) -> list[Any]:
        return [choose(each.arn, each.names, seen.certificates) for each in intent.planned.supply.certificates]


def _defined(intent: Intent) -> Iterator[tuple[str, str]]:
    """Group and kind of the manifests' CustomResourceDefinitions."""
    for document in intent.documents:
        if document.key.kind == "CustomResourceDefinition":
            spec = document.manifest.get("spec") or {}
            yield str(spec.get("group", "")), str((spec.get("names") or {}).get("kind", ""))


def version_of(key: ObjectKey, served: Mapping[tuple[str, str], Served]) -> str:
    """The API version in which the cluster serves a kind of which it has an object."""
    from lockgate.resources.model import kinds

    if (found := served.get((key.group, key.kind))) is not None:
        return f"{key.group}/{found.versions[0]}"
    return kinds()[key.group, key.kind].KIND.api_version


def plural_of(key: ObjectKey, served: Mapping[tuple[str, str], Served]) -> str | None:
    """None for a kind that the cluster does not serve."""
    from lockgate.resources.model import kinds

    if (found := served.get((key.group, key.kind))) is not None:
        return found.plural
    model = kinds().get((key.group, key.kind))
    return model.KIND.plural if model is not None and not key.group else None
