"""Decides everything that is supplied, without creating it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from lockgate.edge.exposure import exposed
from lockgate.edge.location import Place
from lockgate.edge.objects import Objects
from lockgate.edge.options import ISTIOD, Options
from lockgate.edge.supply.certificates import certificates
from lockgate.edge.supply.classes import ingress_classes
from lockgate.edge.supply.control_plane import definitions, istiods
from lockgate.edge.supply.gateway import gateway_services
from lockgate.edge.supply.gateway_secrets import key_pairs
from lockgate.edge.supply.hosts import hosts
from lockgate.edge.supply.logins import user_pool_clients
from lockgate.edge.supply.namespaces import cluster_resource_namespace, installed_namespaces, namespaces, spaces
from lockgate.edge.supply.network import elastic_ips, ipam_pools, ipv6_blocks, security_groups, subnets
from lockgate.edge.supply.node_ports import node_ports
from lockgate.edge.supply.pieces import Object, Supply
from lockgate.edge.supply.routed import Routed, routed
from lockgate.edge.supply.secrets import authorities, aws_keys, other_secrets, service_accounts
from lockgate.edge.supply.services import services
from lockgate.edge.supply.target_groups import target_groups, trust_stores
from lockgate.edge.supply.web_acls import web_acls
from lockgate.edge.supply.workloads import deployments
from lockgate.edge.supply.zones import zones
from lockgate.ingress import auto_mode
from lockgate.ingress.manifests import DEFAULTS
from lockgate.ingress.references import References, of_binding, of_ingress, of_params, of_service
from lockgate.ingress.world import Settings
from lockgate.resources import cert_manager as cm
from lockgate.resources import core, eks, elbv2, istio, networking
from lockgate.resources.memo import Memo
from lockgate.resources.model import Resource


def supply(
    resources: Objects | Iterable[Resource],
    options: Options,
    place: Place,
    settings: Settings,
    *,
    secret_access_key: str,
    memo: Memo | None = None,
) -> Supply:
    """`resources` are the user's objects and those from IstioOperators; `settings` are the load balancer controller's;
    `secret_access_key` is used in missing Secrets. With the same `memo`, the supply is decided again only if something
    changed that it hangs on: of VirtualServices what `Routed` has, of EndpointSlices the namespace."""
    memo = memo or Memo()
    every = resources if isinstance(resources, Objects) else Objects(resources)
    asked = memo.facts("routed", routed, every.all(istio.VirtualService))
    inside = spaces(every, memo)
    objects = every.without(istio.VirtualService, core.EndpointSlice)
    inputs = [options, place, settings, secret_access_key, asked, inside, *objects.views().values()]
    return memo.depending(
        "supply", inputs, lambda: _decided(objects, asked, inside, options, place, settings, secret_access_key)
    )


def _decided(
    objects: Objects,
    routed: Sequence[Routed],
    inside: Sequence[str],
    options: Options,
    place: Place,
    settings: Settings,
    secret_access_key: str,
) -> Supply:
    served = hosts(objects, chain.from_iterable(each.published for each in routed))
    if not options.supply:
        return _named_only(objects, options, place, served, secret_access_key)
    named = served or tuple(dict.fromkeys(name for each in objects.all(cm.Certificate) for name in each.spec.dns_names))
    made_zones = zones(objects, named, options.hosted_zones)
    cluster_namespace = cluster_resource_namespace(objects)
    references = tuple(_references(objects, settings))
    secrets, credentials = aws_keys(objects, cluster_namespace, secret_access_key)
    gateways = tuple(gateway_services(objects))
    made = (
        *ingress_classes(objects),
        *gateways,
        *services(objects, routed),
        *secrets,
        *other_secrets(objects, cluster_namespace, secret_access_key),
        *service_accounts(objects, cluster_namespace),
    )
    with_gateways = objects.adding(core.Service.model_validate(each.manifest) for each in gateways)
    zone_names = [zone.name for zone in made_zones]
    pairs = (*key_pairs(with_gateways, routed, named, zone_names), *authorities(objects, cluster_namespace))
    with_services = objects.adding(
        core.Service.model_validate(each.manifest) for each in made if each.manifest["kind"] == "Service"
    )
    made_spaces = list(namespaces(objects, inside, made, pairs, cluster_namespace))
    return Supply(
        place,
        opened=options.opened,
        hosts=served,
        zones=made_zones,
        certificates=certificates(references, named, zone_names, place),
        subnets=subnets(references),
        ipv6=ipv6_blocks(references),
        security_groups=security_groups(references),
        elastic_ips=elastic_ips(references),
        ipam_pools=ipam_pools(references),
        target_groups=tuple(target_groups(references, objects)),
        trust_stores=tuple(trust_stores(references)),
        user_pool_clients=tuple(user_pool_clients(references, options.user_pool_clients, secret_access_key)),
        web_acls=tuple(web_acls(references)),
        credentials=credentials,
        objects=(*made_spaces, *made),
        control_plane=(*istiods(objects, made_spaces), *_definitions(options)),
        deployments=tuple(deployments(with_services)),
        key_pairs=pairs,
        node_ports=tuple(node_ports(with_gateways)),
        addressed=tuple(_addressed(with_gateways)),
        cluster_resource_namespace=cluster_namespace,
    )


def _definitions(options: Options) -> Iterable[Object]:
    return definitions() if ISTIOD in options.controllers else ()


def _named_only(
    objects: Objects, options: Options, place: Place, served: tuple[str, ...], secret_access_key: str
) -> Supply:
    """Only what lockgate.yaml names and what istioctl creates. All else fails as in production."""
    clients = user_pool_clients(_references(objects, DEFAULTS), options.user_pool_clients, secret_access_key)
    spaces = list(installed_namespaces(objects))
    return Supply(
        place,
        opened=options.opened,
        hosts=served,
        zones=zones(Objects(), (), options.hosted_zones),
        addressed=tuple(_addressed(objects)),
        user_pool_clients=tuple(each for each in clients if each.client_id in options.user_pool_clients),
        objects=tuple(spaces),
        control_plane=(*(istiods(objects, spaces) if objects.all(istio.IstioOperator) else ()), *_definitions(options)),
        cluster_resource_namespace=cluster_resource_namespace(objects),
    )


def _addressed(objects: Objects) -> Iterator[str]:
    for namespace, name in sorted(exposed(objects)):
        yield f"Service {namespace}/{name}: gets an address of this machine, in place of a network load balancer"


def _references(objects: Objects, settings: Settings) -> Iterator[References]:
    for ingress in objects.all(networking.Ingress):
        yield of_ingress(ingress, _params_of(ingress, objects), settings)
    yield from map(of_params, objects.all(elbv2.IngressClassParams))
    yield from map(of_params, map(auto_mode.as_params, objects.all(eks.AutoIngressClassParams)))
    yield from map(of_binding, objects.all(elbv2.TargetGroupBinding))
    yield from (of_service(each, settings) for each in objects.all(core.Service))


def _params_of(ingress: networking.Ingress, objects: Objects) -> elbv2.IngressClassParams | None:
    named = objects.get(networking.IngressClass, "", ingress.spec.ingress_class_name or "")
    if named is None or named.spec.parameters is None:
        return None
    if named.spec.parameters.api_group == auto_mode.GROUP:
        auto = objects.get(eks.AutoIngressClassParams, "", named.spec.parameters.name)
        return auto_mode.as_params(auto) if auto else None
    return objects.get(elbv2.IngressClassParams, "", named.spec.parameters.name)
