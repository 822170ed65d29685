"""LG204x: what building the ingress gateway's policies shows."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

NO_KEYS = Code(
    "LG2041",
    Severity.WARNING,
    "The keys of a RequestAuthentication cannot be fetched",
    message="the keys for JWTs cannot be fetched from {uri}: {reason}; until they can, requests with a JWT get 401",
    fix="correct the URL, or write the keys into `jwks`",
    what="A RequestAuthentication takes its keys from a URL (`jwksUri`, or OpenID discovery from the issuer) that does "
    "not answer with a JWKS.",
    why="istiod gives the gateway a key that has signed nothing until it gets the real ones, so every token is refused "
    "with `Jwt verification fails`. Requests without a token pass.",
    example="""
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: jwt, namespace: istio-system}
        spec:
          jwtRules: [{issuer: "https://issuer.example", jwksUri: "http://127.0.0.1:1/jwks"}]
        """,
    instead="""
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: jwt, namespace: istio-system}
        spec:
          jwtRules: [{issuer: "https://issuer.example", jwks: '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'}]
        """,
)

UNREADABLE_KEYS = Code(
    "LG2042",
    Severity.ERROR,
    "Keys of a RequestAuthentication that Envoy refuses",
    message="Envoy finds no valid key in this JWKS; here every request with a JWT gets 401",
    fix='write a JWK set with a key: {{"keys": [{{"kty": "RSA", "n": …, "e": …}}]}}',
    what="`jwks` is not a JWK set, or none of its keys is complete and of a kind that Envoy knows: RSA, EC, oct or "
    "Ed25519. A single JWK without `keys` is not a set.",
    why="In a cluster, Envoy refuses the gateway's whole listener: no change of any team reaches the gateway until "
    "this one is corrected. Here only the tokens of this rule are refused.",
    example="""
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: jwt, namespace: istio-system}
        spec:
          jwtRules: [{issuer: "https://issuer.example", jwks: '{"keys": []}'}]
        """,
    instead="""
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: jwt, namespace: istio-system}
        spec:
          jwtRules: [{issuer: "https://issuer.example", jwks: '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'}]
        """,
)

UNUSABLE_PROVIDER = Code(
    "LG2043",
    Severity.ERROR,
    "A provider of a CUSTOM policy that cannot be asked",
    message="the extension provider {provider} cannot be asked, so requests that the policy matches get 403: {reason}",
    fix="correct `extensionProviders` in meshConfig, or the provider's name here",
    what="An AuthorizationPolicy with the action CUSTOM names an extension provider that meshConfig does not have, or "
    "whose service does not exist; or policies of one workload name several.",
    why="istiod replaces such a policy by one that denies: every request that a rule matches is refused with `RBAC: "
    "access denied`. Only istiod's log says why.",
    example="""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: ask, namespace: istio-system}
        spec:
          action: CUSTOM
          provider: {name: nobody}
          rules: [{to: [{operation: {paths: [/admin*], ports: ["8080"]}}]}]
        """,
    instead="""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: ask, namespace: istio-system}
        spec:
          action: DENY
          rules: [{to: [{operation: {paths: [/admin*], ports: ["8080"]}}]}]
        """,
)

UNSERVED_PATCH = Code(
    "LG2044",
    Severity.WARNING,
    "A patch of an EnvoyFilter that is not applied",
    message="the patch is not applied: {reason}",
    fix="write the change with another kind, or leave it for the cluster",
    what="The patch is for a part that has no place at this gateway, such as the bootstrap of its Envoy, adds a "
    "listener without a port, or has a field that Envoy refuses by default.",
    why="Requests here do not get what the patch adds or changes.",
    example="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: listener, namespace: istio-system}
        spec:
          configPatches:
            - applyTo: LISTENER
              match: {context: GATEWAY}
              patch: {operation: ADD, value: {name: own}}
        """,
    instead="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: listener, namespace: istio-system}
        spec:
          configPatches:
            - applyTo: LISTENER
              match: {context: GATEWAY}
              patch: {operation: ADD, value: {name: own, address: {socket_address: {port_value: 9090}}}}
        """,
)

REFUSED_PATCH = Code(
    "LG2050",
    Severity.ERROR,
    "A patch whose value Istio refuses",
    message="Istio's webhook refuses the EnvoyFilter, because a patch's value is no part of Envoy's configuration: "
    "{reason}",
    fix="correct the patch's value",
    what="The value of a patch cannot be read as the part of Envoy's configuration that `applyTo` names.",
    why="The cluster does not take the EnvoyFilter at all: none of its patches applies. Here the others do.",
    example="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: timeout, namespace: istio-system}
        spec:
          configPatches:
            - applyTo: CLUSTER
              patch: {operation: MERGE, value: {connect_timeout: soon}}
        """,
    instead="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: timeout, namespace: istio-system}
        spec:
          configPatches:
            - applyTo: CLUSTER
              patch: {operation: MERGE, value: {connect_timeout: 5s}}
        """,
)

UNMATCHED_PATCH = Code(
    "LG2048",
    Severity.WARNING,
    "A patch of an EnvoyFilter that matches nothing",
    message="the patch changes nothing at the gateway: {reason}",
    fix="correct the patch's `match`",
    what="No listener, filter, route or cluster of the gateway is what the `match` of a patch asks for. Listeners have "
    "the ports of the Pod (8443), and route configurations those of the Gateway (443).",
    why="istiod leaves such a patch out, and neither its log nor the EnvoyFilter's status says so.",
    example="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: timeout, namespace: istio-system}
        spec:
          configPatches:
            - applyTo: CLUSTER
              match: {context: GATEWAY, cluster: {service: nobody.shop.svc.cluster.local}}
              patch: {operation: MERGE, value: {connect_timeout: 5s}}
        """,
    instead="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: timeout, namespace: istio-system}
        spec:
          configPatches:
            - applyTo: CLUSTER
              match: {context: GATEWAY}
              patch: {operation: MERGE, value: {connect_timeout: 5s}}
        """,
)

IDLE_LIMIT = Code(
    "LG2049",
    Severity.WARNING,
    "A rate limit that refuses no request",
    message="the rate limit never refuses a request: {reason}",
    fix="set `filter_enabled` and `filter_enforced`, and give routes a `token_bucket` or `rate_limits`",
    what="An EnvoyFilter adds a filter that limits rates, and its settings let every request pass. A local limit needs "
    "a bucket, and is for 0 % of requests by default; a global one asks its service only for routes with rate_limits.",
    why="Envoy takes the configuration and counts nothing, so the limit is missed only when it is needed.",
    example="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: limit, namespace: istio-system}
        spec:
          configPatches:
            - applyTo: HTTP_FILTER
              match: {context: GATEWAY}
              patch:
                operation: INSERT_FIRST
                value:
                  name: envoy.filters.http.local_ratelimit
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
                    stat_prefix: limit
                    token_bucket: {max_tokens: 10, fill_interval: 1s}
        """,
    instead="""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: limit, namespace: istio-system}
        spec:
          configPatches:
            - applyTo: HTTP_FILTER
              match: {context: GATEWAY}
              patch:
                operation: INSERT_FIRST
                value:
                  name: envoy.filters.http.local_ratelimit
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
                    stat_prefix: limit
                    token_bucket: {max_tokens: 10, fill_interval: 1s}
                    filter_enabled: {default_value: {numerator: 100}}
                    filter_enforced: {default_value: {numerator: 100}}
        """,
)

UNUSABLE_TELEMETRY = Code(
    "LG2045",
    Severity.WARNING,
    "A provider of a Telemetry that cannot be used",
    message="istiod leaves the extension provider {provider} out, so the gateway sends it no {what}: {reason}",
    fix="correct `extensionProviders` in meshConfig, or the provider's name here",
    what="A Telemetry, or `defaultProviders` of meshConfig, names an extension provider that meshConfig does not have, "
    "that is of another type, or whose service does not exist.",
    why="Only istiod's log says so. If no other provider is left, the gateway writes the access log of meshConfig's "
    "`accessLogFile`, or none.",
    example="""
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: logs, namespace: istio-system}
        spec: {accessLogging: [{providers: [{name: nobody}]}]}
        """,
    instead="""
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: logs, namespace: istio-system}
        spec: {accessLogging: [{providers: [{name: envoy}]}]}
        """,
)

UNKNOWN_TAG = Code(
    "LG2051",
    Severity.WARNING,
    "A label of metrics that is not evaluated",
    message="the label {tag} of the gateway's metrics keeps its value here: {value} is not evaluated",
    fix="write a text such as `\"'edge'\"`, or `response.code`, `xds.cluster_name` or `upstream.address`",
    what="A Telemetry sets a label of Istio's metrics to an expression (CEL) about each request. Here requests are "
    "counted by the way that they took, so only what is known of the way can be evaluated.",
    why="Queries for the label find nothing here, or its standard value.",
    example="""
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: metrics, namespace: istio-system}
        spec: {metrics: [{providers: [{name: prometheus}], overrides: [{tagOverrides: {host: {value: request.host}}}]}]}
        """,
    instead="""
        apiVersion: telemetry.istio.io/v1
        kind: Telemetry
        metadata: {name: metrics, namespace: istio-system}
        spec: {metrics: [{providers: [{name: prometheus}], overrides: [{tagOverrides: {side: {value: "'edge'"}}}]}]}
        """,
)
UNKNOWN_METRIC = UNKNOWN_TAG.variant(
    message="the gateway has no metric {metric} here, so nothing of it changes",
    fix="name one of Istio's standard metrics without its prefix, such as requests_total",
)

UNLOADED_MODULE = Code(
    "LG2046",
    Severity.WARNING,
    "A WebAssembly module that cannot be loaded",
    message="the module at {url} cannot be loaded, so {effect}: {reason}",
    fix="make `url` lead to a module, or set `failStrategy: FAIL_OPEN` to do without it",
    what="The `url` of a WasmPlugin does not lead to a WebAssembly module with the checksum of `sha256`. Files are "
    "looked up on this machine, and images of registries (oci://) are not pulled.",
    why="Istio's agent puts a filter in the module's place that refuses every request with 403, or none with "
    "`failStrategy: FAIL_OPEN`. Only the agent's log says why.",
    example="""
        apiVersion: extensions.istio.io/v1alpha1
        kind: WasmPlugin
        metadata: {name: filter, namespace: istio-system}
        spec: {url: "oci://registry.example/filter:v1"}
        """,
    instead="""
        apiVersion: extensions.istio.io/v1alpha1
        kind: WasmPlugin
        metadata: {name: filter, namespace: istio-system}
        spec: {url: "https://modules.example/filter.wasm"}
        """,
)
