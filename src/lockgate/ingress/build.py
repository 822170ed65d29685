"""Builds one IngressGroup's stack: load balancer, listeners, rules, target groups, bindings, security group.

Source: aws-load-balancer-controller `pkg/ingress/model_builder.go`. Its order of steps determines which of several
faults is reported first.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.ingress import certificates, faults, frontend, load_balancer, rules
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.values import Malformed, read_bool
from lockgate.ingress.auto_mode import annotations_not_read
from lockgate.ingress.backends import Backend, Backends
from lockgate.ingress.frontend_health import hopeless_checks
from lockgate.ingress.group import Group, Member
from lockgate.ingress.listeners import Port, ports
from lockgate.ingress.refusal import Refused, about
from lockgate.ingress.stack import (
    LOAD_BALANCER,
    MANAGED_SECURITY_GROUP,
    Permission,
    SecurityGroup,
    Stack,
    tracked,
)
from lockgate.ingress.subnets import Demand
from lockgate.ingress.target_groups import TargetGroups
from lockgate.ingress.world import Account, Objects, Settings
from lockgate.loadbalancer.model import (
    Action,
    Condition,
    FixedResponse,
    Listener,
    LoadBalancer,
    Redirect,
    Rule,
)
from lockgate.loadbalancer.network import NetworkLoadBalancer
from lockgate.resources.codes import load_balancer as codes
from lockgate.resources.faults import Code, Fault, Origin
from lockgate.resources.field_errors import Path
from lockgate.resources.model import Resource


def build(group: Group, objects: Objects, account: Account, settings: Settings) -> Stack | Refused:
    """The group's stack, or why it cannot be built. In that case the group's existing resources stay unchanged."""
    try:
        return _Build(group, objects, account, settings).stack()
    except Refused as refused:
        return refused


class _Build:
    def __init__(self, group: Group, objects: Objects, account: Account, settings: Settings) -> None:
        self.group = group
        self.objects = objects
        self.account = account
        self.settings = settings
        self.faults: list[Fault] = []
        self.candidates: dict[str, tuple[_Candidate, ...]] = {}

    def stack(self) -> Stack:
        group = self.group
        for ingress in group.leaving:
            _check_deletion(ingress)
        if not group.members:
            return Stack(group.id)
        open_ports = ports(group.members, self.account, self.settings)
        settings = self.settings
        scheme = load_balancer.scheme(group, settings)
        family = load_balancer.ip_address_type(group)
        name = load_balancer.name(group, scheme, settings)
        demand = Demand(
            settings.cluster_name,
            scheme,
            family,
            cluster_tags="SubnetsClusterTagCheck" in settings.gates,
            by_reachability="SubnetDiscoveryByReachability" in settings.gates,
            single="ALBSingleSubnet" in settings.gates,
        )
        subnets = load_balancer.subnets(group, demand, self.account)
        security = load_balancer.security_groups(group, self.account, settings)
        tags = load_balancer.common_tags(group.members, settings)
        attributes = load_balancer.attributes(group)
        target_groups = TargetGroups(
            group.id, settings, self.account, family != "ipv4", security.backend_peer is not None
        )
        self.backends = Backends(self.objects, self.account, settings, target_groups, self._report)
        self.redirect_port = _redirect_port(load_balancer.ssl_redirect(group), open_ports, group)
        listeners = tuple(self._listener(port) for port in open_ports)
        load_balancer.check_addons(group)
        if subnets is None and self.account.subnets is None:
            self._note_open(codes.SUBNETS_OPEN, group.members[0].ingress, a.SUBNETS.path())
        first = group.members[0].ingress
        made = LoadBalancer(
            name=name,
            listeners=listeners,
            target_groups=target_groups.made,
            scheme=scheme,
            ip_address_type=family,
            security_groups=security.ids,
            subnets=subnets or (),
            attributes=attributes,
            tags=tracked(tags, group.id, LOAD_BALANCER, settings.cluster_name),
            origin=Origin(first.key),
        )
        return Stack(
            id=group.id,
            members=tuple((each.ingress.namespace, each.ingress.name) for each in group.members),
            load_balancer=made,
            network=self._frontend(frontend.Behind(made, open_ports, demand, tags)),
            security_group=self._security_group(open_ports, family != "ipv4", tags) if security.managed else None,
            bindings=tuple(target_groups.bindings.values()),
            certificates=certificates.requests(group, settings),
            web_acl=load_balancer.web_acl(group, self.account),
            shield=load_balancer.shield(group),
            capacity_units=load_balancer.capacity_units(group),
            coip_pool=load_balancer.coip_pool(group),
            ipam_pool=load_balancer.ipam_pool(group),
            faults=(*self._annotation_faults(), *self.faults),
        )

    def _frontend(self, behind: frontend.Behind) -> NetworkLoadBalancer | None:
        made = frontend.frontend(self.group, behind, self.account, self.settings, self._report)
        if made is not None and not any(mapping.subnet for mapping in made.subnets):
            ingress, path = self.group.members[0].ingress, a.FRONTEND_NLB_SUBNETS.path()
            self._note_open(codes.FRONTEND_SUBNETS_OPEN, ingress, path)
        for group, why in hopeless_checks(made, behind.load_balancer) if made is not None else ():
            self.faults.append(codes.HOPELESS_CHECK.at(group.origin, port=group.port, reason=why))
        return made

    def _listener(self, port: Port) -> Listener:
        first = port.members[0].ingress
        tags = load_balancer.common_tags(port.members, self.settings)
        if port.certificates_open:
            self._note_open(codes.CERTIFICATES_OPEN, first, a.CERTIFICATE_ARN.path(), port=port.number)
        path = a.LISTEN_PORTS.path()
        found = path if a.LISTEN_PORTS.key in first.metadata.annotations else ()
        default = self._default_actions(port)
        listener_rules: tuple[Rule, ...] = ()
        if port.protocol == "HTTPS" or self.redirect_port is None:
            listener_rules = self._rules(port)
        return Listener(
            port=port.number,
            protocol=port.protocol,
            default_actions=default,
            rules=listener_rules,
            certificates=port.certificates,
            ssl_policy=port.ssl_policy,
            mutual_authentication=port.mutual,
            attributes=self._listener_attributes(port),
            tags=self._rule_tags(tags, str(port.number)),
            origin=Origin(first.key, found),
        )

    def _default_actions(self, port: Port) -> tuple[Action, ...]:
        if port.protocol == "HTTP" and self.redirect_port is not None:
            return (Redirect("HTTP_301", protocol="HTTPS", port=str(self.redirect_port)),)
        having = [member for member in port.members if member.ingress.spec.default_backend is not None]
        if len(having) > 1:
            keys = " ".join(member.key for member in having)
            raise Refused(
                f"multiple ingress defined default backend: [{keys}]",
                Origin(having[1].ingress.key, ("spec", "defaultBackend")),
            )
        if not having:
            return (FixedResponse("404", "text/plain"),)
        member = having[0]
        backend = member.ingress.spec.default_backend
        assert backend is not None
        read = self.backends.read(member, backend, ("spec", "defaultBackend"), default=True)
        if port.protocol == "HTTPS":
            return (*self.backends.pre_actions(member, read.service), read.action)
        return (read.action,)

    def _rules(self, port: Port) -> tuple[Rule, ...]:
        candidates = [candidate for member in port.members for candidate in self._candidates(member)]
        matches = [rules.Match.of(candidate.conditions, (candidate.backend.action,)) for candidate in candidates]
        https = port.protocol == "HTTPS"
        actions = [self._actions(item) if https else (item.backend.action,) for item in candidates]
        found = []
        for priority, index in enumerate(rules.kept(port.number, port.protocol, matches), 1):
            candidate = candidates[index]
            found.append(
                Rule(
                    priority=priority,
                    conditions=candidate.conditions,
                    actions=actions[index],
                    transforms=candidate.backend.transforms,
                    tags=self._rule_tags(candidate.tags, f"{port.number}:{priority}"),
                    origin=candidate.origin,
                )
            )
        return tuple(found)

    def _rule_tags(self, tags: dict[str, str], resource: str) -> dict[str, str]:
        """The tags of a listener or rule; empty without the feature gate."""
        if "ListenerRulesTagging" not in self.settings.gates:
            return {}
        return tracked(tags, self.group.id, resource, self.settings.cluster_name)

    def _actions(self, candidate: _Candidate) -> tuple[Action, ...]:
        """The actions on an HTTPS listener: authentication comes first."""
        member = candidate.member
        with about(Origin(member.ingress.key), prefix=f"ingress: {member.key}: "):
            return (*self.backends.pre_actions(member, candidate.backend.service), candidate.backend.action)

    def _candidates(self, member: Member) -> tuple[_Candidate, ...]:
        """All rules of a member in order; they are the same for each of its ports."""
        if member.key not in self.candidates:
            with about(Origin(member.ingress.key), prefix=f"ingress: {member.key}: "):
                self.candidates[member.key] = tuple(self._read_rules(member))
        return self.candidates[member.key]

    def _read_rules(self, member: Member) -> list[_Candidate]:
        ingress = member.ingress
        tags = load_balancer.ingress_tags(member, self.settings)
        found = []
        for number, rule in enumerate(ingress.spec.rules):
            if rule.http is None:
                continue
            paths = rule.http.paths
            for index in rules.path_order([(i, path.path, path.path_type) for i, path in enumerate(paths)]):
                path = paths[index]
                where: Path = ("spec", "rules", number, "http", "paths", index)
                with about(Origin(ingress.key, where)):
                    # Only paths of this type can be regexes: for others the controller does not parse the annotation.
                    any_type = path.path_type not in ("Exact", "Prefix")
                    regex = bool(any_type and a.USE_REGEX_PATH_MATCH.read(ingress))
                    pattern = rules.path_condition(path.path, path.path_type, regex=regex)
                backend = self.backends.read(member, path.backend, (*where, "backend"))
                with about(Origin(ingress.key, where)):
                    conditions = rules.rule_conditions(rule.host, pattern, backend.conditions)
                found.append(_Candidate(member, conditions, backend, tags, Origin(ingress.key, where)))
        return found

    def _listener_attributes(self, port: Port) -> dict[str, str]:
        annotation = a.LISTENER_ATTRIBUTES.of(f"{port.protocol}-{port.number}")
        params = self.group.members[0].params
        fixed = {
            attribute.key: attribute.value
            for listener in (params.spec.listeners if params else ())
            if (listener.protocol, listener.port) == (port.protocol, port.number)
            for attribute in listener.listener_attributes
        }
        conflict = "conflicting listener attributes {key}: {first} | {second} for ingress {ingress}"
        return load_balancer.merged_maps(port.members, annotation, fixed, conflict)

    def _security_group(self, open_ports: Sequence[Port], dualstack: bool, tags: dict[str, str]) -> SecurityGroup:
        permissions: dict[Permission, None] = {}
        for port in open_ports:
            for cidr in port.cidrs:
                if ":" not in cidr:
                    permissions[Permission(port.number, "cidr", cidr)] = None
            for cidr in port.cidrs:
                if ":" in cidr and dualstack:
                    permissions[Permission(port.number, "cidr-v6", cidr)] = None
            for prefix_list in port.prefix_lists:
                permissions[Permission(port.number, "prefix-list", prefix_list)] = None
        return SecurityGroup(
            name=load_balancer.managed_security_group_name(self.group.id, self.settings),
            description="[k8s] Managed SecurityGroup for LoadBalancer",
            permissions=tuple(permissions),
            tags=tracked(tags, self.group.id, MANAGED_SECURITY_GROUP, self.settings.cluster_name),
        )

    def _annotation_faults(self) -> list[Fault]:
        """The faults in annotations of the members and of the Services behind them."""
        resources: list[Resource] = [member.ingress for member in self.group.members]
        services = {
            (candidate.backend.service.namespace, candidate.backend.service.name): candidate.backend.service
            for found in self.candidates.values()
            for candidate in found
            if candidate.backend.service is not None
        }
        resources += services.values()
        found = [each for member in self.group.members if member.auto for each in annotations_not_read(member.ingress)]
        for resource in resources:
            found += faults.unknown_annotations(resource)
            found += faults.annotations_without_effect(resource, self.settings)
        return found

    def _report(self, fault: Fault) -> None:
        if fault not in self.faults:
            self.faults.append(fault)

    def _note_open(self, code: Code, ingress: Resource, path: Path, **values: object) -> None:
        origin = Origin(ingress.key, path if path[-1] in ingress.metadata.annotations else ())
        self.faults.append(code.at(origin, **values))


class _Candidate:
    """A rule before a listener assigns its priority."""

    __slots__ = ("backend", "conditions", "member", "origin", "tags")

    def __init__(
        self,
        member: Member,
        conditions: tuple[Condition, ...],
        backend: Backend,
        tags: dict[str, str],
        origin: Origin | None,
    ) -> None:
        self.member = member
        self.conditions = conditions
        self.backend = backend
        self.tags = tags
        self.origin = origin


def _redirect_port(port: int | None, open_ports: Sequence[Port], group: Group) -> int | None:
    if port is None:
        return None
    target = next((candidate for candidate in open_ports if candidate.number == port), None)
    if target is None or target.protocol != "HTTPS":
        problem = "listener does not exist" if target is None else "listener protocol non-SSL"
        saying = next((m for m in group.members if a.SSL_REDIRECT.key in m.ingress.metadata.annotations), None)
        raise Refused(
            f"{problem} for SSLRedirect port: {port}",
            Origin((saying or group.members[0]).ingress.key, a.SSL_REDIRECT.path()),
        )
    return port


def _check_deletion(ingress: Resource) -> None:
    """A deleted Ingress with deletion protection keeps its load balancer, and with it the whole group."""
    if not ingress.metadata.deletion_timestamp:
        return
    with about(Origin(ingress.key, a.LOAD_BALANCER_ATTRIBUTES.path())):
        protection = (a.LOAD_BALANCER_ATTRIBUTES.read(ingress) or {}).get("deletion_protection.enabled", "false")
        try:
            protected = read_bool(protection)
        except Malformed as error:
            raise Refused(error.reason) from None
        if protected:
            raise Refused(f"deletion_protection is enabled, cannot delete the ingress: {ingress.name}")
