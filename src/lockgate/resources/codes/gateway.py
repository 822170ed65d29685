"""LG20xx: what building the ingress gateway's configuration shows."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

REGEX = Code(
    "LG2001",
    Severity.ERROR,
    "A regular expression that Envoy refuses",
    message="Envoy refuses the regular expression {pattern}: {reason}; this route is left out",
    fix="write it in RE2's syntax, which has no lookaround and no backreferences",
    what="A `regex` of a VirtualService is not valid RE2.",
    why="In a cluster, Envoy refuses the gateway's whole route configuration: no change of any team reaches the "
    "gateway until this one is corrected. Here only the route is left out.",
    example=r"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - match: [{uri: {regex: /items/(?=new).*}}]
              route: [{destination: {host: web}}]
        """,
    instead=r"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - match: [{uri: {regex: /items/new.*}}]
              route: [{destination: {host: web}}]
        """,
)
REDIRECT_CODE = Code(
    "LG2002",
    Severity.ERROR,
    "A redirect status that Envoy does not have",
    message="Envoy cannot redirect with status {status}; this route is left out",
    fix="use 301, 302, 303, 307 or 308",
    what="`redirectCode` is not one of the five redirects that Envoy can make.",
    why="istiod leaves the route out, so its requests match a later route, or get 404.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - redirect: {authority: www.shop.example, redirectCode: 300}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - redirect: {authority: www.shop.example, redirectCode: 302}
        """,
)
SAME_SNI = Code(
    "LG2003",
    Severity.ERROR,
    "Two TLS servers for the same server name",
    message="an earlier server has {names} on port {port}; this one is left out",
    fix="give each TLS server on a port hosts of its own",
    what="Two servers of one port have the same host in TLS's server name (SNI).",
    why="In a cluster, Envoy refuses the whole listener. Here only the later server is left out.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https-shop, protocol: HTTPS}
              hosts: [shop/shop.example]
              tls: {mode: SIMPLE, credentialName: shop-tls}
            - port: {number: 443, name: https-other, protocol: HTTPS}
              hosts: [other/shop.example]
              tls: {mode: SIMPLE, credentialName: shop-tls}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https-shop, protocol: HTTPS}
              hosts: [shop/shop.example, other/shop.example]
              tls: {mode: SIMPLE, credentialName: shop-tls}
        """,
)
PRIVILEGED_PORT = Code(
    "LG2004",
    Severity.ERROR,
    "A gateway port that the Pod may not open",
    message="port {port} leads to port {target} of the Pod, which may not listen below 1024; this server is left out",
    fix="let the Service's targetPort be 1024 or more, such as istioctl's 8080 and 8443",
    what="The gateway's Pod runs without the right to open ports below 1024, and its Service leads to such a port.",
    why="istiod leaves the server out, and connections to the port are refused.",
    example="""
        apiVersion: v1
        kind: Service
        metadata:
          name: istio-ingressgateway
          namespace: istio-system
          labels: {operator.istio.io/component: IngressGateways}
        spec:
          selector: {istio: ingressgateway}
          ports: [{name: http2, port: 80, targetPort: 80}]
        """,
    instead="""
        apiVersion: v1
        kind: Service
        metadata:
          name: istio-ingressgateway
          namespace: istio-system
          labels: {operator.istio.io/component: IngressGateways}
        spec:
          selector: {istio: ingressgateway}
          ports: [{name: http2, port: 80, targetPort: 8080}]
        """,
)
NO_TLS = Code(
    "LG2005",
    Severity.ERROR,
    "A TLS server without tls settings",
    message="a server of protocol {protocol} needs `tls`; this one is left out",
    fix="add tls with a mode and a credential, or use protocol HTTP",
    what="A Gateway's server has the protocol HTTPS or TLS, and no `tls`.",
    why="istiod leaves the server out, and connections to its port are refused.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: ["*"]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: ["*"]
              tls: {mode: SIMPLE, credentialName: shop-tls}
        """,
)
NO_TCP_ROUTE = Code(
    "LG2006",
    Severity.WARNING,
    "A TCP or TLS server without a route",
    message="no {kind} route of a VirtualService leads from this server, so its port accepts no connections for {hosts}"
    "no {kind} route of a VirtualService leads from this server, so its port accepts no connections for {hosts}",
    fix="bind a VirtualService with {kind} routes to the Gateway",
    what="A Gateway's server passes TCP or TLS on, and no VirtualService says where to.",
    why="Envoy gets no filter chain for the server. Clients see their connections closed.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: tls, protocol: TLS}
              hosts: [db.shop.example]
              tls: {mode: PASSTHROUGH}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: tls, protocol: TLS}
              hosts: [db.shop.example]
              tls: {mode: PASSTHROUGH}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [db.shop.example]
          gateways: [istio-system/edge]
          tls:
            - match: [{sniHosts: [db.shop.example]}]
              route: [{destination: {host: web, port: {number: 80}}}]
        """,
)
NOT_SUPPORTED = Code(
    "LG2007",
    Severity.WARNING,
    "A gateway setting without effect here",
    message="{what} has no effect here: {reason}",
    fix="use SIMPLE or MUTUAL where clients outside the mesh connect, or leave it for the cluster",
    what="A setting of a Gateway or a VirtualService needs something that this edge does not have, such as the mesh's "
    "own certificates.",
    why="The server or the match is left out. In a cluster it would count.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: ["*"]
              tls: {mode: ISTIO_MUTUAL}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: ["*"]
              tls: {mode: SIMPLE, credentialName: shop-tls}
        """,
)
PROXY_CONFIG_BROKEN = Code(
    "LG2008",
    Severity.WARNING,
    "A proxy.istio.io/config annotation that cannot be read",
    message="the annotation proxy.istio.io/config is ignored: {reason}",
    fix="make it a YAML mapping, as meshConfig.defaultConfig is",
    what="The annotation of the gateway's Pod is not a mapping in YAML.",
    why="The gateway runs with the mesh's defaults, such as for trusted proxies and the forwarding of client "
    "certificates.",
    example="""
        apiVersion: install.istio.io/v1alpha1
        kind: IstioOperator
        metadata: {name: edge, namespace: istio-system}
        spec:
          components:
            ingressGateways:
              - name: istio-ingressgateway
                enabled: true
                k8s:
                  service: {type: NodePort}
                  podAnnotations: {proxy.istio.io/config: "gatewayTopology: {"}
        """,
    instead="""
        apiVersion: install.istio.io/v1alpha1
        kind: IstioOperator
        metadata: {name: edge, namespace: istio-system}
        spec:
          components:
            ingressGateways:
              - name: istio-ingressgateway
                enabled: true
                k8s:
                  service: {type: NodePort}
                  podAnnotations: {proxy.istio.io/config: "gatewayTopology: {numTrustedProxies: 1}"}
        """,
)
ENVOY_VALUE = Code(
    "LG2009",
    Severity.ERROR,
    "A value that Envoy refuses",
    message="{what} is left out, because Envoy refuses it: {reason}",
    what="Istio's validation accepts the value, and Envoy does not.",
    why="In a cluster, Envoy refuses the gateway's whole route configuration. Here only the setting is left out.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - fault: {abort: {httpStatus: 600, percentage: {value: 10}}}
              route: [{destination: {host: web}}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http:
            - fault: {abort: {httpStatus: 503, percentage: {value: 10}}}
              route: [{destination: {host: web}}]
        """,
)
LOCAL_ENDPOINT = Code(
    "LG2010",
    Severity.WARNING,
    "A ServiceEntry's endpoint on this machine",
    message="the endpoint {address} is left out: in a cluster it is the gateway's own Pod or node",
    fix="to serve a program of yours, name its Service in `--backend namespace/service:port=URL`",
    what="A ServiceEntry has an endpoint with a loopback, link-local or unspecified IP address.",
    why="In a cluster, such an address leads into the gateway's own Pod, where nothing listens, or to the metadata "
    "service of its node. Here it would lead to any program on your machine. Requests get 503 in both.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: legacy, namespace: shop}
        spec:
          hosts: [legacy.shop.example]
          ports: [{number: 80, name: http, protocol: HTTP}]
          resolution: STATIC
          endpoints: [{address: 127.0.0.1}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http: [{route: [{destination: {host: legacy.shop.example}}]}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: legacy, namespace: shop}
        spec:
          hosts: [legacy.shop.example]
          ports: [{number: 80, name: http, protocol: HTTP}]
          resolution: STATIC
          endpoints: [{address: 10.20.30.40}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http: [{route: [{destination: {host: legacy.shop.example}}]}]
        """,
)
CA_CREDENTIAL_NAME = Code(
    "LG2011",
    Severity.ERROR,
    "A CA credential that is read as a key pair",
    message="Istio reads Secret {namespace}/{name} as a key pair, not as a CA, because its name does not end in "
    "-cacert: TLS connections are closed before the handshake ends",
    fix="name a Secret that ends in -cacert in `caCertCredentialName`",
    what="`caCertCredentialName` of a Gateway's server does not end in `-cacert`.",
    why="istiod asks for the credential under the name as it is written, and only a name that ends in `-cacert` means "
    "a CA. So the gateway's Envoy never gets the CA that client certificates are verified with, and the server "
    "accepts no connection.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: [shop.example]
              tls: {mode: MUTUAL, credentialName: shop, caCertCredentialName: clients}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: clients, namespace: istio-system}
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers:
            - port: {number: 443, name: https, protocol: HTTPS}
              hosts: [shop.example]
              tls: {mode: MUTUAL, credentialName: shop, caCertCredentialName: clients-cacert}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: clients-cacert, namespace: istio-system}
        """,
)
UNDISCOVERED = Code(
    "LG2047",
    Severity.WARNING,
    "A namespace that istiod does not read",
    message="no discovery selector of the mesh selects the namespace {namespace}, so istiod does not read {what}",
    fix="label the Namespace as a selector asks for",
    what="`discoverySelectors` of meshConfig select namespaces by their labels, and a namespace of Istio's objects is "
    "none of them.",
    why="istiod reads nothing of such a namespace: none of its Istio objects, Services or Pods, and no Secrets with "
    "certificates. A namespace without a manifest has only the label `kubernetes.io/metadata.name`.",
    example="""
        apiVersion: install.istio.io/v1alpha1
        kind: IstioOperator
        metadata: {name: mesh, namespace: istio-system}
        spec: {meshConfig: {discoverySelectors: [{matchLabels: {istio: enabled}}]}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: istio-system, labels: {istio: enabled}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop}
        ---
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: logs, namespace: shop}
        spec: {accessLogging: [{disabled: true}]}
        """,
    instead="""
        apiVersion: install.istio.io/v1alpha1
        kind: IstioOperator
        metadata: {name: mesh, namespace: istio-system}
        spec: {meshConfig: {discoverySelectors: [{matchLabels: {istio: enabled}}]}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: istio-system, labels: {istio: enabled}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop, labels: {istio: enabled}}
        """,
)
NO_REVISION = Code(
    "LG2012",
    Severity.WARNING,
    "An object of a revision that no gateway has",
    message="no gateway has Istio's revision {revision} (they have: {known}), so nothing reads this object",
    fix="remove the label istio.io/rev, or give the gateway's Pod or Service the same",
    what="The label `istio.io/rev` of an Istio object names a revision of which no gateway is.",
    why="An istiod skips objects that are labelled for another revision. The rest of the configuration is served as if "
    "this object did not exist. A gateway's revision is the label `istio.io/rev` of its Pod, its Service or its "
    "namespace, or `spec.revision` of its IstioOperator; without any of them it is `default`.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: istio-system, labels: {istio.io/rev: canary}}
        spec:
          hosts: [shop.example]
          gateways: [edge]
          http: [{directResponse: {status: 200}}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: istio-system}
        spec:
          hosts: [shop.example]
          gateways: [edge]
          http: [{directResponse: {status: 200}}]
        """,
)
NO_SELECTED_WORKLOAD = Code(
    "LG2013",
    Severity.WARNING,
    "A ServiceEntry that selects nothing here",
    message="no WorkloadEntry has the labels {labels}, and no Pod runs here: requests to {host} get 503",
    fix="write a WorkloadEntry with the address of a program",
    what="A ServiceEntry that a route leads to selects its endpoints by labels that no WorkloadEntry has.",
    why="In a cluster, Pods may have these labels. No Pod runs here, so the host has no endpoint.",
    example="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: legacy, namespace: shop}
        spec:
          hosts: [legacy.shop.example]
          location: MESH_INTERNAL
          resolution: STATIC
          ports: [{number: 80, name: http, protocol: HTTP}]
          workloadSelector: {labels: {app: legacy}}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http: [{route: [{destination: {host: legacy.shop.example}}]}]
        """,
    instead="""
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: legacy, namespace: shop}
        spec:
          hosts: [legacy.shop.example]
          location: MESH_INTERNAL
          resolution: STATIC
          ports: [{number: 80, name: http, protocol: HTTP}]
          workloadSelector: {labels: {app: legacy}}
        ---
        apiVersion: networking.istio.io/v1
        kind: WorkloadEntry
        metadata: {name: legacy-1, namespace: shop}
        spec: {address: 10.20.30.40, labels: {app: legacy}}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec:
          hosts: [shop.example]
          gateways: [istio-system/edge]
          http: [{route: [{destination: {host: legacy.shop.example}}]}]
        """,
)
