"""LG6xxx: outdated, removed and discouraged ways to set up an edge."""

from __future__ import annotations

from lockgate.resources.codes.examples import CERTIFICATE, HTTPS, ingress, together
from lockgate.resources.faults import Code, Severity

_OPERATOR = """
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: istio, namespace: istio-system}
spec: {profile: default%s}
"""

OUT_OF_SUPPORT = Code(
    "LG6001",
    Severity.WARNING,
    "A version of Istio that is out of support",
    message="Istio {version} is out of support since {ended}: it gets no security fixes",
    fix="use a supported version, and go through the upgrade notes of each minor version on the way",
    what="A tag or an image names a minor version of Istio whose support has ended.",
    why="Faults of Envoy and Istio that became public since are open in it, and no Kubernetes version that EKS offers "
    "may be on its list. The dates are those of istio.io's page of supported releases.",
    example=_OPERATOR % ", tag: 1.17.1",
    instead=_OPERATOR % ", tag: 1.30.1",
)
REGIONS_DIFFER = Code(
    "LG6002",
    Severity.WARNING,
    "ARNs of different regions",
    message="this ARN is of region {region}, and {others} elsewhere in these manifests: a load balancer takes "
    "certificates and web ACLs of its own region only",
    fix="use an ARN of the load balancer's region",
    what="The Ingresses name certificates or web ACLs of several regions.",
    why="ELBv2 does not find a certificate of another region, so the controller cannot create the listener.",
    example=together(
        ingress(CERTIFICATE, HTTPS, "group.name: shop"),
        ingress(
            CERTIFICATE.replace("eu-west-1", "us-east-1"), HTTPS, "group.name: shop", name="api", host="api.example"
        ),
    ),
    instead=together(
        ingress(CERTIFICATE, HTTPS, "group.name: shop"),
        ingress(CERTIFICATE, HTTPS, "group.name: shop", name="api", host="api.example"),
    ),
)
OPERATOR_REMOVED = Code(
    "LG6003",
    Severity.INFO,
    "Istio's in-cluster operator is gone",
    message="nothing in a cluster reads this IstioOperator: the in-cluster operator was removed in Istio 1.24",
    fix="install with Helm: `lockgate convert istio-operator FILE` prints the values of its charts",
    what="An IstioOperator among the manifests.",
    why="With kubectl apply it needs a CRD that nothing installs any more. Lockgate reads it as istioctl does.",
    example=_OPERATOR % "",
)
CLASS_ANNOTATION = Code(
    "LG6004",
    Severity.INFO,
    "The deprecated annotation for the ingress class",
    message="kubernetes.io/ingress.class is deprecated since Kubernetes 1.18; EKS Auto Mode does not read it",
    fix="set spec.ingressClassName: {name}",
    what="An Ingress names its class with the annotation kubernetes.io/ingress.class.",
    why="The annotation still works with the AWS Load Balancer Controller, unless --disable-ingress-class-annotation "
    "is set, but no IngressClass is validated and its parameters do not apply.",
    example=ingress().replace(" {}", "\n    kubernetes.io/ingress.class: alb").replace("  ingressClassName: alb\n", ""),
    instead=ingress(),
)
