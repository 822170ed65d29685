"""LG20xx: what building the gateway's configuration shows. IST0xxx: what `istioctl analyze` reports by that number.

Source of the numbers IST0xxx: istio/istio `pkg/config/analysis/msg/messages.yaml`. The words are our own.
"""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

GATEWAY_NOT_FOUND = Code(
    "IST0101",
    _ERROR,
    "",
    "Gateway {gateway} does not exist, so no request reaches these routes through it",
    "create it, or name an existing one as namespace/name",
)
HOST_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "no Service or ServiceEntry has the host {host}: requests get 503 (NC, no cluster)",
    "correct the host; a short name means a Service of the namespace {namespace}",
)
PORT_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "{host} has no port {port} (it has {ports}): requests get 503 (NC, no cluster)",
    "name one of its ports in destination.port.number",
)
SUBSET_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "no DestinationRule that this gateway sees defines subset {subset} of {host}: requests get 503 (NC)",
    "define the subset in a DestinationRule of the service's or the gateway's namespace",
)
SECRET_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "Secret {namespace}/{name} does not exist: TLS connections are closed before the handshake ends",
    "credentialName is looked up in the namespace of the gateway's Pod ({namespace}): create the Secret there",
)
NO_WORKLOAD = GATEWAY_NOT_FOUND.variant(
    "no gateway Pod has the labels {selector}, so nothing serves this Gateway",
    "make spec.selector match the labels of the gateway's Pod",
)
DELEGATE_NOT_FOUND = GATEWAY_NOT_FOUND.variant(
    "the delegate VirtualService {delegate} does not exist here, or is not visible: this rule is left out",
    "create it without hosts, or correct the delegate's name and namespace",
)
PORT_REQUIRED = Code(
    "IST0112",
    _ERROR,
    "",
    "{host} has several ports ({ports}) and the destination names none: port {port} is taken, as the Gateway's",
    "set destination.port.number",
)
PORT_NAME = Code(
    "IST0118",
    _INFO,
    "",
    "the name {name} of port {port} tells no protocol: the gateway speaks HTTP/1.1 to it",
    "name it after its protocol (http, http2, grpc, https-…), or set appProtocol",
)
UNVERIFIED_SERVER = Code(
    "IST0128",
    _WARNING,
    "",
    "TLS to {host} is checked against the system's CAs only: no caCertificates are set",
    "set caCertificates or credentialName",
)
UNVERIFIED_PORT = Code(
    "IST0129",
    _WARNING,
    "",
    "TLS to port {port} of {host} is checked against the system's CAs only: no caCertificates are set",
    "set caCertificates or credentialName",
)
SHARED_CERTIFICATE = Code(
    "IST0138",
    _WARNING,
    "",
    "the certificate {name} is in Gateway {others} too: browsers reuse one HTTP/2 connection for both, and get 404",
    "put the hosts of one certificate into one server",
)
UNKNOWN_DESTINATION_HOST = Code(
    "IST0174",
    _WARNING,
    "",
    "no Service or ServiceEntry has the host {host}, so this DestinationRule has no effect",
    "correct the host; a short name means a Service of the rule's own namespace",
)
UNREACHABLE_RULE = Code(
    "IST0130",
    _WARNING,
    "",
    "this rule is never reached: {reason}",
    "move it before the rule that takes everything, or give that one a match",
)
HOSTS_NOT_IN_GATEWAY = Code(
    "IST0132",
    _WARNING,
    "",
    "none of the hosts {hosts} lies within the hosts of Gateway {gateway}",
    "add the host to a server of the Gateway, or correct it",
)
CONFLICTING_GATEWAYS = Code(
    "IST0145",
    _ERROR,
    "",
    "this server is left out: {reason}",
    "give the servers different hosts, or merge the Gateways",
)
INVALID_CREDENTIAL = Code(
    "IST0161",
    _ERROR,
    "",
    "Secret {namespace}/{name} cannot serve as a credential: {reason}",
    "see the keys tls.crt and tls.key of the Secret",
)
PORT_NOT_ON_SERVICE = Code(
    "IST0162",
    _WARNING,
    "",
    "no Service of the gateway's Pod has port {port}, so nothing outside reaches this server",
    "add the port to the gateway's Service, or use one of {ports}",
)
REGEX = Code(
    "LG2001",
    _ERROR,
    "",
    "Envoy refuses the regular expression {pattern}: {reason}; this route is left out, and on a cluster Envoy "
    "would refuse the gateway's whole route configuration",
    "write it in RE2's syntax",
)
REDIRECT_CODE = Code(
    "LG2002",
    _ERROR,
    "",
    "Envoy cannot redirect with status {status}: this route is left out",
    "use 301, 302, 303, 307 or 308",
)
SAME_SNI = Code(
    "LG2003",
    _ERROR,
    "",
    "{names} on port {port} is taken by an earlier server: this one is left out, and on a cluster Envoy would refuse "
    "the whole listener",
    "give each TLS server on a port its own hosts",
)
PRIVILEGED_PORT = Code(
    "LG2004",
    _ERROR,
    "",
    "port {port} lands on {target}, and the gateway's Pod may not listen below 1024: istiod leaves this server out",
    "let the Service's targetPort be 1024 or more (istioctl's are 8080 and 8443)",
)
NO_TLS = Code(
    "LG2005",
    _ERROR,
    "",
    "a server of protocol {protocol} needs tls: it is left out",
    "add tls with a mode and a credential, or use protocol HTTP",
)
NO_TCP_ROUTE = Code(
    "LG2006",
    _WARNING,
    "",
    "no {kind} route of a VirtualService fits this server, so its port does not accept connections for {hosts}",
    "bind a VirtualService with {kind} routes to the Gateway",
)
NOT_SUPPORTED = Code(
    "LG2007",
    _WARNING,
    "",
    "{what} has no effect here: {reason}",
)
PROXY_CONFIG_BROKEN = Code(
    "LG2008",
    _WARNING,
    "",
    "the annotation proxy.istio.io/config is ignored: {reason}",
    "make it a YAML mapping, as meshConfig.defaultConfig is",
)
ENVOY_VALUE = Code(
    "LG2009",
    _ERROR,
    "",
    "{what} is left out, as Envoy would refuse it: {reason}",
)
