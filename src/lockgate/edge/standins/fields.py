"""The fields that hold names of AWS, DNS and the cluster, each with the sort of value that it takes.

Paths are dotted; ``[]`` means each item of a list, ``*`` each value of a map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lockgate.edge.standins.sorts import (
    ACCESS_KEY,
    ACME_SERVER,
    ALB_NAME,
    AUTHORITY_ARN,
    BUCKET,
    CERTIFICATE_ARN,
    CHECKED_PATH,
    CIDR,
    CLIENT_ID,
    CREDENTIAL,
    DURATION,
    ELASTIC_IP,
    EMAIL,
    HOST,
    INGRESS_CLASS,
    ISSUER,
    LOGIN_DOMAIN,
    NAME,
    PATH,
    PREFIX_LIST,
    REDIRECT_HOST,
    REGION,
    ROLE_ARN,
    SECURITY_GROUP,
    SETTING,
    SUBNET,
    TARGET_GROUP_ARN,
    TRUST_STORE,
    USER_POOL_ARN,
    WEB_ACL_ARN,
    ZONE_ID,
    Sort,
)
from lockgate.ingress.annotations import registry as a
from lockgate.ingress.annotations.spec import BOOL, INT32, INT64, AnyAnnotation


@dataclass(frozen=True, slots=True)
class Whole:
    """The annotation's text is a single value."""

    sort: Sort


@dataclass(frozen=True, slots=True)
class Items:
    """``a, b``: each item is a value."""

    sort: Sort


@dataclass(frozen=True, slots=True)
class Entries:
    """``k=v,k=v``: values by key."""

    sorts: Mapping[str, Sort]


@dataclass(frozen=True, slots=True)
class Json:
    """JSON: strings by their lower-case key, because the controller ignores case."""

    sorts: Mapping[str, Sort]


Written: TypeAlias = Whole | Items | Entries | Json

_META: Final = {"metadata.name": NAME, "metadata.namespace": NAME}

_BACKEND: Final = ("service.name",)
_ISSUER: Final = {
    "spec.acme.email": EMAIL,
    "spec.acme.server": ACME_SERVER,
    "spec.acme.privateKeySecretRef.name": NAME,
    "spec.acme.solvers[].selector.dnsZones[]": HOST,
    "spec.acme.solvers[].selector.dnsNames[]": HOST,
    "spec.acme.solvers[].dns01.route53.region": REGION,
    "spec.acme.solvers[].dns01.route53.hostedZoneID": ZONE_ID,
    "spec.acme.solvers[].dns01.route53.accessKeyID": ACCESS_KEY,
    "spec.acme.solvers[].dns01.route53.role": ROLE_ARN,
    "spec.acme.solvers[].dns01.route53.accessKeyIDSecretRef.name": NAME,
    "spec.acme.solvers[].dns01.route53.accessKeyIDSecretRef.key": NAME,
    "spec.acme.solvers[].dns01.route53.secretAccessKeySecretRef.name": NAME,
    "spec.acme.solvers[].dns01.route53.secretAccessKeySecretRef.key": NAME,
    "spec.acme.solvers[].dns01.route53.auth.kubernetes.serviceAccountRef.name": NAME,
    "spec.ca.secretName": NAME,
}
_L4_ROUTE: Final = {"match[].sniHosts[]": HOST, "match[].gateways[]": NAME, "route[].destination.host": NAME}

FIELDS: Final[Mapping[tuple[str, str], Mapping[str, Sort]]] = {
    ("networking.k8s.io", "Ingress"): {
        "spec.ingressClassName": INGRESS_CLASS,
        "spec.rules[].host": HOST,
        "spec.rules[].http.paths[].path": PATH,
        "spec.rules[].http.paths[].backend.service.name": NAME,
        "spec.defaultBackend.service.name": NAME,
        "spec.tls[].hosts[]": HOST,
        "spec.tls[].secretName": NAME,
    },
    ("networking.k8s.io", "IngressClass"): {"spec.parameters.name": NAME},
    ("elbv2.k8s.aws", "IngressClassParams"): {
        "spec.certificateArn[]": CERTIFICATE_ARN,
        "spec.wafv2AclArn": WEB_ACL_ARN,
        "spec.wafv2AclName": NAME,
        "spec.subnets.ids[]": SUBNET,
        "spec.inboundCIDRs[]": CIDR,
        "spec.prefixListsIDs[]": PREFIX_LIST,
        "spec.group.name": NAME,
        "spec.loadBalancerName": NAME,
        "spec.scheme": SETTING,
    },
    ("eks.amazonaws.com", "IngressClassParams"): {
        "spec.certificateARNs[]": CERTIFICATE_ARN,
        "spec.subnets.ids[]": SUBNET,
        "spec.inboundCIDRs[]": CIDR,
        "spec.prefixListsIDs[]": PREFIX_LIST,
        "spec.group.name": NAME,
        "spec.loadBalancerName": NAME,
        "spec.scheme": SETTING,
    },
    ("elbv2.k8s.aws", "TargetGroupBinding"): {
        "spec.targetGroupARN": TARGET_GROUP_ARN,
        "spec.serviceRef.name": NAME,
        "spec.networking.ingress[].from[].securityGroup.groupID": SECURITY_GROUP,
    },
    ("networking.istio.io", "Gateway"): {
        "spec.selector.*": NAME,
        "spec.servers[].hosts[]": HOST,
        "spec.servers[].tls.credentialName": CREDENTIAL,
    },
    ("networking.istio.io", "VirtualService"): {
        "spec.hosts[]": HOST,
        "spec.gateways[]": NAME,
        "spec.http[].match[].gateways[]": NAME,
        "spec.http[].match[].uri.exact": PATH,
        "spec.http[].match[].uri.prefix": PATH,
        "spec.http[].rewrite.uri": PATH,
        "spec.http[].redirect.uri": PATH,
        "spec.http[].corsPolicy.allowOrigins[].exact": HOST,
        "spec.http[].route[].destination.host": NAME,
        "spec.http[].route[].destination.subset": NAME,
        "spec.http[].mirror.host": NAME,
        "spec.http[].timeout": DURATION,
        "spec.http[].retries.perTryTimeout": DURATION,
        "spec.http[].redirect.authority": HOST,
        **{f"spec.{kind}[].{path}": sort for kind in ("tls", "tcp") for path, sort in _L4_ROUTE.items()},
    },
    ("networking.istio.io", "DestinationRule"): {
        "spec.host": NAME,
        "spec.trafficPolicy.tls.credentialName": CREDENTIAL,
        "spec.subsets[].name": NAME,
        "spec.subsets[].labels.*": NAME,
    },
    ("networking.istio.io", "ServiceEntry"): {"spec.hosts[]": HOST},
    ("cert-manager.io", "Issuer"): _ISSUER,
    ("cert-manager.io", "ClusterIssuer"): _ISSUER,
    ("cert-manager.io", "Certificate"): {
        "spec.commonName": HOST,
        "spec.dnsNames[]": HOST,
        "spec.secretName": NAME,
        "spec.issuerRef.name": ISSUER,
        "spec.duration": DURATION,
        "spec.renewBefore": DURATION,
    },
    ("", "Service"): {"spec.selector.*": NAME, "spec.externalName": HOST},
}
"""By API group and kind."""

_BUCKETS: Final = {f"{logs}.s3.bucket": BUCKET for logs in ("access_logs", "connection_logs", "health_check_logs")}
_ACTION: Final = {
    "targetgrouparn": TARGET_GROUP_ARN,
    "targetgroupname": NAME,
    "servicename": NAME,
    "host": REDIRECT_HOST,
}
_LOGIN: Final = {
    "userpoolarn": USER_POOL_ARN,
    "userpoolclientid": CLIENT_ID,
    "userpooldomain": LOGIN_DOMAIN,
    "secretname": NAME,
}

_OF_ALB: Final[Mapping[AnyAnnotation, Written]] = {
    a.CERTIFICATE_ARN: Items(CERTIFICATE_ARN),
    a.ACM_PCA_ARN: Whole(AUTHORITY_ARN),
    a.WAFV2_ACL_ARN: Whole(WEB_ACL_ARN),
    a.SUBNETS: Items(SUBNET),
    a.FRONTEND_NLB_SUBNETS: Items(SUBNET),
    a.FRONTEND_NLB_EIP_ALLOCATIONS: Items(ELASTIC_IP),
    a.SECURITY_GROUPS: Items(SECURITY_GROUP),
    a.FRONTEND_NLB_SECURITY_GROUPS: Items(SECURITY_GROUP),
    a.SECURITY_GROUP_PREFIX_LISTS: Items(PREFIX_LIST),
    a.INBOUND_CIDRS: Items(CIDR),
    a.GROUP_NAME: Whole(ALB_NAME),
    a.LOAD_BALANCER_NAME: Whole(ALB_NAME),
    a.WAFV2_ACL_NAME: Whole(NAME),
    a.LOAD_BALANCER_ATTRIBUTES: Entries(_BUCKETS),
    a.FRONTEND_NLB_ATTRIBUTES: Entries(_BUCKETS),
    a.TARGET_GROUP_ATTRIBUTES: Entries({}),
    a.LISTENER_ATTRIBUTES: Entries({}),
    a.HEALTHCHECK_PATH: Whole(CHECKED_PATH),
    a.SSL_POLICY: Whole(SETTING),
    a.SUCCESS_CODES: Whole(SETTING),
    a.LISTEN_PORTS: Json({}),
    a.MUTUAL_AUTHENTICATION: Json({"truststore": TRUST_STORE}),
    a.TRANSFORMS: Json({}),
    a.JWT_VALIDATION: Json({}),
    a.AUTH_IDP_COGNITO: Json(_LOGIN),
    a.AUTH_IDP_OIDC: Json({"secretname": NAME}),
    a.ACTIONS: Json(_ACTION),
    a.CONDITIONS: Json({}),
}
_NUMBERS: Final = (BOOL, INT32, INT64)


def written(key: str) -> Written | None:
    """The structure of an annotation's text; None for an annotation that is not inspected."""
    if (form := _KEYS.get(key)) is not None:
        return form
    return next((how for stem, how in _FAMILIES if key.startswith(stem)), None)


_KEYS: Final[Mapping[str, Written]] = {
    **{
        annotation.key: Whole(SETTING)
        for annotation in a.REGISTRY.values()
        if annotation.type in _NUMBERS or annotation.values or annotation is a.HEALTHCHECK_PORT
    },
    **{annotation.key: how for annotation, how in _OF_ALB.items()},
    "kubernetes.io/ingress.class": Whole(INGRESS_CLASS),
    "external-dns.alpha.kubernetes.io/hostname": Items(HOST),
    "cert-manager.io/cluster-issuer": Whole(ISSUER),
    "cert-manager.io/issuer": Whole(ISSUER),
}
_FAMILIES: Final = tuple(
    (annotation.key.partition("{")[0], how) for annotation, how in _OF_ALB.items() if "{" in annotation.key
)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a kind. `named` is whether all of them hold names, in which only tokens are placeholders."""

    paths: tuple[tuple[tuple[str, ...], Sort], ...]
    named: bool


def fields_of(group: str, kind: str) -> Fields:
    """Those of another kind are its name and namespace."""
    return _FIELDS.get((group, kind), _NAMED)


def _fields(own: Mapping[str, Sort]) -> Fields:
    paths = tuple((tuple(path.replace("[]", ".[]").split(".")), sort) for path, sort in {**_META, **own}.items())
    return Fields(paths, all(sort in (NAME, ISSUER, CREDENTIAL, HOST, DURATION, PATH) for _, sort in paths))


_NAMED: Final = _fields({})
_FIELDS: Final = {kind: _fields(own) for kind, own in FIELDS.items()}
