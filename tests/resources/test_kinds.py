"""The kinds: their names in manifests, and how they read what users write."""

from __future__ import annotations

import binascii
from typing import Any

import pytest
from pydantic import ValidationError

from lockgate.resources import cert_manager as cm
from lockgate.resources import core, elbv2, istio, networking
from lockgate.resources.meta import LabelSelector
from lockgate.resources.model import Model, Resource, kinds, manifest_name
from lockgate.resources.shape import ListOf, MapOf, Object, shape_of

# Names that camelCase alone would get wrong, as the Go structs' JSON tags have them.
NAMES = {
    core.ServiceSpec: "clusterIP clusterIPs externalIPs loadBalancerIP ipFamilies ipFamilyPolicy externalName",
    core.SessionAffinityConfig: "clientIP",
    core.NodeSpec: "podCIDR podCIDRs providerID externalID",
    core.NodeSystemInfo: "machineID systemUUID bootID osImage kubeProxyVersion",
    core.PodStatus: "podIP podIPs hostIP",
    core.ContainerPort: "hostIP containerPort",
    networking.IngressServiceBackend: "name port",
    networking.TypedLocalObjectReference: "apiGroup",
    elbv2.IngressClassParamsSpec: (
        "certificateArn inboundCIDRs sslPolicy sslRedirectPort ipAddressType prefixListsIDs PrefixListsIDs wafv2AclArn "
        "wafv2AclName ipamConfiguration loadBalancerName"
    ),
    elbv2.IPAMConfiguration: "ipv4IPAMPoolId",
    elbv2.TargetGroupBindingSpec: (
        "targetGroupARN targetGroupName vpcID iamRoleArnToAssume assumeRoleExternalId ipAddressType "
        "multiClusterTargetGroup"
    ),
    elbv2.SecurityGroup: "groupID",
    elbv2.NetworkingPeer: "ipBlock securityGroup",
    elbv2.NetworkingIngressRule: "from ports",
    cm.Route53: "accessKeyID accessKeyIDSecretRef secretAccessKeySecretRef hostedZoneID",
    cm.DNS01Solver: "cnameStrategy cloudDNS azureDNS acmeDNS rfc2136 route53",
    cm.HTTP01Solver: "gatewayHTTPRoute",
    cm.HTTP01Ingress: "class ingressClassName",
    cm.ACMEIssuer: "caBundle skipTLSVerify preferredChain privateKeySecretRef",
    cm.ExternalAccountBinding: "keyID keySecretRef",
    cm.CAIssuer: "crlDistributionPoints ocspServers issuingCertificateURLs",
    cm.CertificateSpec: "isCA dnsNames ipAddresses uris emailAddresses",
    cm.OrderStatus: "finalizeURL url",
    cm.ChallengeSpec: "authorizationURL dnsName",
    istio.ServerTLSSettings: "caCrl caCertificates caCertCredentialName httpsRedirect credentialNames",
    istio.ConsistentHash: "useSourceIp httpQueryParameterName",
    istio.OutlierDetection: "consecutive5xxErrors",
    istio.HTTPSettings: "http1MaxPendingRequests http2MaxRequests h2UpgradePolicy http2KeepAlive",
    istio.LoadBalancerSettings: "localityLbSetting warmupDurationSecs",
    istio.ClientTLSSettings: "caCrl sni",
    istio.HTTPMatchRequest: "ignoreUriCase queryParams statPrefix",
    istio.HTTPBody: "string bytes",
    cm.OtherName: "oid utf8Value",
}


@pytest.mark.parametrize("model", NAMES, ids=lambda model: model.__name__)
def test_names_in_manifests(model: type[Model]) -> None:
    assert set(NAMES[model].split()) <= shape_of(model).names


@pytest.mark.parametrize("model", kinds().values(), ids=lambda model: f"{model.KIND.group}-{model.KIND.kind}")
def test_every_kind_has_a_shape(model: type[Resource]) -> None:
    shape = shape_of(model)
    assert {"apiVersion", "kind", "metadata"} <= shape.names
    assert model.KIND.plural == model.KIND.plural.lower()
    for column in model.KIND.columns:
        assert (column.cell is None) == bool(column.path)
    _no_two_fields_of_one_name(shape)


def _no_two_fields_of_one_name(shape: Any) -> None:
    match shape:
        case Object(model=model, fields=fields):
            assert len(fields) == len(model.model_fields)
            for field in fields.values():
                _no_two_fields_of_one_name(field.shape)
        case ListOf(inner) | MapOf(inner):
            _no_two_fields_of_one_name(inner)
        case _:
            pass


def test_printer_cells_bear_empty_objects() -> None:
    for model in kinds().values():
        manifest = {"apiVersion": model.KIND.api_version, "kind": model.KIND.kind, "metadata": {"name": "a"}}
        for column in model.KIND.columns:
            if column.cell is not None:
                assert isinstance(column.cell(manifest), (str, int))


SERVICE = {
    "metadata": {"name": "a"},
    "spec": {
        "type": "NodePort",
        "clusterIP": "10.0.0.1",
        "externalIPs": ["1.2.3.4"],
        "selector": {"b": "2", "a": "1"},
        "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}],
    },
}
POD = {
    "spec": {"containers": [{}, {}], "readinessGates": [{"conditionType": "target-health.elbv2.k8s.aws/a"}]},
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {"ready": True, "restartCount": 2},
            {"state": {"waiting": {"reason": "CrashLoopBackOff"}}},
        ],
    },
}


@pytest.mark.parametrize(
    ("kind", "column", "manifest", "cell"),
    [
        (core.Service, "External-IP", SERVICE, "1.2.3.4"),
        (core.Service, "Port(s)", SERVICE, "80:30080/TCP,53/UDP"),
        (core.Service, "Selector", SERVICE, "a=1,b=2"),
        (core.Service, "External-IP", {"spec": {"type": "LoadBalancer"}}, "<pending>"),
        (
            core.Service,
            "External-IP",
            {"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"hostname": "a.example"}]}}},
            "a.example",
        ),
        (core.Service, "Cluster-IP", {"spec": {"type": "ExternalName", "externalName": "b"}}, "<none>"),
        (core.Service, "External-IP", {"spec": {"type": "ExternalName", "externalName": "b"}}, "b"),
        (core.Pod, "Ready", POD, "1/2"),
        (core.Pod, "Status", POD, "CrashLoopBackOff"),
        (core.Pod, "Restarts", POD, 2),
        (core.Pod, "Readiness Gates", POD, "0/1"),
        (core.Node, "Status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, "Ready"),
        (core.Node, "Status", {"spec": {"unschedulable": True}}, "Unknown,SchedulingDisabled"),
        (core.Node, "Roles", {"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}}, "worker"),
        (networking.Ingress, "Class", {"metadata": {"annotations": {"kubernetes.io/ingress.class": "alb"}}}, "alb"),
        (
            networking.Ingress,
            "Hosts",
            {"metadata": {}, "spec": {"rules": [{"host": h} for h in "abcd"]}},
            "a,b,c + 1 more...",
        ),
        (networking.Ingress, "Ports", {"spec": {"tls": [{}]}}, "80, 443"),
        (
            networking.IngressClass,
            "Parameters",
            {"spec": {"parameters": {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "alb"}}},
            "IngressClassParams.elbv2.k8s.aws/alb",
        ),
        (core.Secret, "Data", {"data": {"a": "", "b": ""}}, 2),
        (core.Event, "Object", {"involvedObject": {"kind": "Ingress", "name": "a"}}, "ingress/a"),
        (core.EndpointSlice, "Endpoints", {"endpoints": [{"addresses": list("abcd")}]}, "a,b,c + 1 more..."),
    ],
)
def test_cells(kind: type[Resource], column: str, manifest: dict[str, Any], cell: str | int) -> None:
    (found,) = [one for one in kind.KIND.columns if one.name == column]
    assert found.cell is not None
    assert found.cell({"metadata": {}, **manifest}) == cell


@pytest.mark.parametrize("value", ["443", 443.5, True, None])
def test_a_number_is_a_number(value: object) -> None:
    manifest = {"kind": "Gateway", "spec": {"servers": [{"port": {"number": value, "name": "a", "protocol": "TCP"}}]}}
    with pytest.raises(ValidationError):
        istio.Gateway.model_validate(manifest)


@pytest.mark.parametrize("value", [8080, "http", "8080"])
def test_a_target_port_is_a_number_or_a_name(value: object) -> None:
    service = core.Service.model_validate({"spec": {"ports": [{"port": 80, "targetPort": value}]}})
    assert service.spec.ports[0].target_port == value
    assert type(service.spec.ports[0].target_port) is type(value)


def test_objects_do_not_change() -> None:
    service = core.Service.model_validate({"metadata": {"name": "a"}})
    with pytest.raises(ValidationError):
        service.kind = "Pod"  # type: ignore[misc]


def test_a_manifest_says_what_was_set() -> None:
    manifest = {"spec": {"dns01": {"route53": {"hostedZoneID": "Z1", "region": "eu-west-1"}}, "selector": {}}}
    solver = cm.Solver.model_validate(manifest["spec"])
    assert solver.manifest() == manifest["spec"]


def test_a_secrets_bytes() -> None:
    secret = core.Secret.model_validate({"data": {"a": "eA==", "b": "eQ=="}, "stringData": {"b": "z"}})
    assert secret.decoded == {"a": b"x", "b": b"z"}
    with pytest.raises(binascii.Error):
        _ = core.Secret.model_validate({"data": {"a": "x"}}).decoded


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {"a": "1"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Near"}]}, {"a": "1"}, False),
    ],
)
def test_label_selectors(selector: dict[str, Any], labels: dict[str, str], matches: bool) -> None:
    assert LabelSelector.model_validate(selector).matches(labels) is matches


@pytest.mark.parametrize(
    ("field", "name"),
    [("api_version", "apiVersion"), ("ip", "ip"), ("from_", "from"), ("cluster_ip", "clusterIP"), ("is_ca", "isCA")],
)
def test_manifest_names(field: str, name: str) -> None:
    assert manifest_name(field) == name


def test_istios_versions_are_one_schema() -> None:
    assert istio.Gateway.KIND.api_version == "networking.istio.io/v1"
    assert set(istio.VirtualService.KIND.versions) == {"v1", "v1beta1", "v1alpha3"}
