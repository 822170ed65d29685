"""Kinds of other projects, without a typed model: the API stores them as written.

Kinds that affect requests, or create objects that an edge needs, get a warning. All others are treated like unknown
kinds.
"""

from __future__ import annotations

from lockgate.resources.codes import objects as codes
from lockgate.resources.effects.row import Row, accepted, declare
from lockgate.resources.faults import Code


def _whole(
    groups: str, kinds: str, because: str, *, noticed: bool = True, fix: str = "", code: Code | None = None
) -> tuple[Row, ...]:
    """Kinds without any field that has an effect."""
    return declare(
        groups,
        kinds,
        accepted("", because=because, noticed=noticed, fix=fix, code=code),
        accepted("**", because=because),
    )


_NOT_WRITTEN = "no controller renders it, so the objects that it makes in a cluster are missing"
_RENDER = "render it and pass the result: `… | lockgate up -`"
_NOTHING_MADE = "no Secret is made of it"
_WRITE_IT = "add the Secret itself; where it is missing, an edge supplies some of them"

ROWS = (
    # --- Gateway API ---------------------------------------------------------------------------------------------
    *_whole(
        "gateway.networking.k8s.io",
        "Gateway",
        "Gateway API is not served here, so no gateway is made for it",
        fix="use networking.istio.io's Gateway and VirtualService behind an Ingress",
    ),
    *_whole(
        "gateway.networking.k8s.io",
        "HTTPRoute GRPCRoute TLSRoute TCPRoute UDPRoute",
        "Gateway API is not served here, so no request takes this route",
        fix="use a VirtualService",
    ),
    *_whole(
        "gateway.networking.k8s.io",
        "GatewayClass ReferenceGrant BackendTLSPolicy BackendLBPolicy ListenerSet",
        "Gateway API is not served here",
    ),
    *_whole(
        "gateway.networking.x-k8s.io gateway.k8s.aws inference.networking.k8s.io",
        "*",
        "Gateway API is not served here",
    ),
    *_whole(
        "aga.k8s.aws",
        "*",
        "no Global Accelerator is made for it",
    ),
    # --- names and certificates ----------------------------------------------------------------------------------
    *_whole(
        "externaldns.k8s.io externaldns.nginx.org",
        "DNSEndpoint",
        "external-dns reads Ingresses, Gateways, VirtualServices and Services here, so its records are not written",
        fix="write the record with `lockgate exec -- aws route53 change-resource-record-sets`",
    ),
    *_whole(
        "trust.cert-manager.io",
        "Bundle ClusterBundle",
        "trust-manager does not run here, so the ConfigMaps or Secrets that it fills are missing",
    ),
    *_whole(
        "policy.cert-manager.io",
        "*",
        "approver-policy does not run here, so every CertificateRequest is approved",
    ),
    *_whole(
        "awspca.cert-manager.io cas-issuer.jetstack.io certmanager.step.sm cert-manager.k8s.cloudflare.com",
        "*",
        "of issuers cert-manager's own are served, so a Certificate that names it is never issued",
        fix="use an acme, ca or selfSigned issuer",
    ),
    # --- Secrets that something makes ----------------------------------------------------------------------------
    *_whole(
        "external-secrets.io",
        "ExternalSecret ClusterExternalSecret PushSecret",
        f"external-secrets does not run here, so {_NOTHING_MADE}",
        fix=_WRITE_IT,
    ),
    *_whole(
        "bitnami.com",
        "SealedSecret",
        f"the sealed-secrets controller does not run here, so {_NOTHING_MADE}",
        fix=_WRITE_IT,
    ),
    *_whole(
        "secrets-store.csi.x-k8s.io",
        "SecretProviderClass",
        f"the Secrets Store CSI driver does not run here, so {_NOTHING_MADE}",
        fix=_WRITE_IT,
    ),
    *_whole(
        "secrets.hashicorp.com isindir.github.com onepassword.com",
        "VaultStaticSecret VaultDynamicSecret VaultPKISecret SopsSecret OnePasswordItem",
        f"its operator does not run here, so {_NOTHING_MADE}",
        fix=_WRITE_IT,
    ),
    # --- what makes other objects --------------------------------------------------------------------------------
    *_whole("helm.toolkit.fluxcd.io", "HelmRelease", _NOT_WRITTEN, fix=_RENDER),
    *_whole("kustomize.toolkit.fluxcd.io", "Kustomization", _NOT_WRITTEN, fix=_RENDER),
    *_whole("argoproj.io", "Application ApplicationSet", _NOT_WRITTEN, fix=_RENDER),
    *_whole("helm.cattle.io", "HelmChart HelmChartConfig", _NOT_WRITTEN, fix=_RENDER),
    *_whole("sailoperator.io", "Istio IstioRevision IstioCNI", _NOT_WRITTEN, fix="write an IstioOperator"),
    *_whole(
        "*.services.k8s.aws",
        "*",
        "the AWS Controllers for Kubernetes do not run here, so the AWS resource is not made",
        fix="make it with `lockgate exec -- aws …`, or terraform",
    ),
    *_whole(
        "*.aws.upbound.io *.aws.crossplane.io",
        "*",
        "Crossplane does not run here, so the AWS resource is not made",
        fix="make it with `lockgate exec -- aws …`, or terraform",
    ),
    # --- what changes traffic ------------------------------------------------------------------------------------
    *_whole(
        "argoproj.io",
        "Rollout",
        "Argo Rollouts does not run here, so no container starts, and no route's weights change",
        fix="name your program with `--backend NAMESPACE/SERVICE:PORT=URL`",
    ),
    *_whole(
        "flagger.app",
        "Canary",
        "Flagger does not run here, so the Services and routes that it makes, and their weights, are missing",
    ),
    *_whole(
        "serving.knative.dev",
        "Service Route Configuration Revision DomainMapping",
        "Knative does not run here, so the Services and routes that it makes are missing",
    ),
    *_whole(
        "kyverno.io",
        "Policy ClusterPolicy",
        "Kyverno does not run here, so the API takes objects that it refuses or changes in a cluster",
        code=codes.NOT_ENFORCED,
    ),
    *_whole(
        "constraints.gatekeeper.sh mutations.gatekeeper.sh",
        "*",
        "Gatekeeper does not run here, so the API takes objects that it refuses or changes in a cluster",
        code=codes.NOT_ENFORCED,
    ),
    *_whole(
        "cilium.io crd.projectcalico.org projectcalico.org vpcresources.k8s.aws networking.k8s.aws "
        "policy.networking.k8s.io",
        "NetworkPolicy GlobalNetworkPolicy CiliumNetworkPolicy CiliumClusterwideNetworkPolicy ClusterNetworkPolicy "
        "AdminNetworkPolicy BaselineAdminNetworkPolicy ApplicationNetworkPolicy SecurityGroupPolicy",
        "connections that it blocks in a cluster are made here",
        code=codes.NOT_ENFORCED,
    ),
    # --- nobody misses these here --------------------------------------------------------------------------------
    *_whole(
        "apiregistration.k8s.io certificates.k8s.io flowcontrol.apiserver.k8s.io node.k8s.io resource.k8s.io "
        "scheduling.k8s.io storage.k8s.io snapshot.storage.k8s.io events.k8s.io",
        "*",
        "no part of a request's path goes by it",
        noticed=False,
    ),
    *_whole(
        "monitoring.coreos.com karpenter.sh karpenter.k8s.aws autoscaling.k8s.io keda.sh eks.amazonaws.com",
        "*",
        "what it configures does not run here, and no request depends on it",
        noticed=False,
    ),
)
