"""Istio's kinds: what the ingress gateway here follows. There are no sidecars, so nothing else of a mesh runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockgate.resources.codes import objects as codes
from lockgate.resources.effects import istio_security
from lockgate.resources.effects.row import Row, Scope, accepted, declare, refused, served
from lockgate.resources.model import JsonObject

_NO_SIDECAR = "applications have no sidecar here"
_MATCH = "{exact,prefix,regex}"
_DESTINATION = "{host,subset,port.number}"
_HEADERS = "headers.{request,response}.{set,add,remove}"
# The places of a DestinationRule's traffic policy: for the host, a port, a subset, or a subset's port.
POLICY = (
    "spec.{trafficPolicy,trafficPolicy.portLevelSettings,subsets.trafficPolicy,subsets.trafficPolicy.portLevelSettings}"
)
POLICY_TOP = "spec.{trafficPolicy,subsets.trafficPolicy}"
_INSTALLED = "spec.components.{ingressGateways,egressGateways}"
_VALUES = "spec.{values,unvalidatedValues}"
_PATCHED = "spec.configPatches.match"
MESH = "spec.{meshConfig,values.meshConfig}"


def _policy(
    kinds: str,
    group: str,
    *,
    gateway: str,
    application: str,
    fix: str = "",
    when: Callable[[JsonObject], bool] | None = None,
    harmless: str = "",
    fields: tuple[str, ...] = ("spec.**", "**"),
) -> tuple[Row, ...]:
    """A kind that selects workloads: its effect at the gateway differs from that at an application.

    `when` excludes objects that `harmless` describes, whose missing effect nobody would notice.
    """
    code = codes.NOT_ENFORCED if group == "security.istio.io" else None
    beyond = (accepted("", because="it denies nothing", case=harmless, when=lambda it: not when(it)),) if when else ()
    return declare(
        group,
        kinds,
        accepted(
            "",
            because=gateway,
            noticed=True,
            fix=fix,
            code=code,
            case="that selects the ingress gateway",
            scope=Scope.GATEWAY,
            when=when,
        ),
        accepted(
            "",
            because=f"{_NO_SIDECAR}, so {application}",
            noticed=True,
            code=code,
            case="that selects applications alone",
            scope=Scope.APPLICATION,
            when=when,
        ),
        *beyond,
        accepted(*fields, because="the object as a whole has no effect here"),
    )


ROWS = (
    # --- networking.istio.io: acted on ---------------------------------------------------------------------------
    *declare(
        "networking.istio.io",
        "Gateway",
        served(
            "",
            "spec.selector",
            "spec.servers.{name,bind,hosts}",
            "spec.servers.port.{number,name,protocol}",
            "spec.servers.tls.{httpsRedirect,mode,minProtocolVersion,maxProtocolVersion,cipherSuites}",
            "spec.servers.tls.{credentialName,credentialNames,caCertCredentialName}",
            "spec.servers.tls.{serverCertificate,privateKey,caCertificates}",
            "spec.servers.tls.tlsCertificates.{serverCertificate,privateKey}",
            "spec.servers.tls.{subjectAltNames,verifyCertificateSpki,verifyCertificateHash,caCrl}",
        ),
        accepted(
            "spec.servers.tls.mode={ISTIO_MUTUAL,AUTO_PASSTHROUGH}",
            because="it needs the mesh's own certificates, so the server is left out (LG2007)",
        ),
        accepted(
            "spec.servers.port.targetPort", because="istiod does not read it either; the Service's targetPort counts"
        ),
        accepted("spec.servers.defaultEndpoint", because="it is for sidecars' ingress, not for gateways"),
        accepted("spec.servers.tls.tlsCertificates.caCertificates", because="caCertificates beside it is read"),
    ),
    *declare(
        "networking.istio.io",
        "VirtualService",
        accepted(
            "",
            because=f"{_NO_SIDECAR}, and no request comes from them",
            case="that is bound to the mesh alone",
            when=lambda service: _is_for_sidecars(service),
        ),
        served(
            "",
            "spec.{hosts,gateways,exportTo}",
            "spec.http.{name,timeout,mirrorPercent}",
            f"spec.http.match.{{uri,scheme,method,authority}}.{_MATCH}",
            f"spec.http.match.{{headers,withoutHeaders,queryParams}}.*.{_MATCH}",
            "spec.http.match.{name,port,gateways,sourceLabels,sourceNamespace,ignoreUriCase,statPrefix}",
            f"spec.http.route.destination.{_DESTINATION}",
            "spec.http.route.weight",
            f"spec.http.{{route.,}}{_HEADERS}",
            "spec.http.redirect.{uri,prefixRewrite,authority,port,derivePort,scheme,redirectCode}",
            "spec.http.directResponse.status",
            "spec.http.directResponse.body.{string,bytes}",
            "spec.http.delegate.{name,namespace}",
            "spec.http.rewrite.{uri,authority}",
            "spec.http.rewrite.uriRegexRewrite.{match,rewrite}",
            "spec.http.retries.{attempts,perTryTimeout,retryOn,retryRemoteLocalities,retryIgnorePreviousHosts,backoff}",
            "spec.http.fault.delay.{percent,fixedDelay,percentage.value}",
            "spec.http.fault.abort.{httpStatus,grpcStatus,percentage.value}",
            f"spec.http.{{mirror,mirrors.destination}}.{_DESTINATION}",
            "spec.http.{mirrors.percentage,mirrorPercentage}.value",
            "spec.http.corsPolicy.{allowOrigin,allowMethods,allowHeaders,exposeHeaders,maxAge,allowCredentials}",
            f"spec.http.corsPolicy.allowOrigins.{_MATCH}",
            "spec.http.corsPolicy.unmatchedPreflights",
            "spec.{tls,tcp}.match.{port,gateways,sourceLabels,sourceNamespace}",
            "spec.tls.match.sniHosts",
            f"spec.{{tls,tcp}}.route.destination.{_DESTINATION}",
            "spec.{tls,tcp}.route.weight",
        ),
        accepted(
            "spec.http.fault.delay.exponentialDelay",
            "spec.http.fault.abort.http2Error",
            because="istiod does not read it either",
            noticed=True,
            fix="use fixedDelay, httpStatus or grpcStatus",
        ),
        accepted(
            "spec.{tls,tcp}.match.destinationSubnets",
            "spec.tcp.match.sourceSubnet",
            because="a gateway does not match connections by address, so the rule holds for all of them",
            noticed=True,
        ),
    ),
    *declare(
        "networking.istio.io",
        "DestinationRule",
        served(
            "",
            "spec.{host,exportTo,workloadSelector.matchLabels}",
            "spec.subsets.{name,labels}",
            "spec.{trafficPolicy,subsets.trafficPolicy}.portLevelSettings.port.number",
            f"{POLICY}.loadBalancer.simple",
            f"{POLICY}.loadBalancer.consistentHash.{{httpHeaderName,useSourceIp,httpQueryParameterName}}",
            f"{POLICY}.loadBalancer.consistentHash.httpCookie.{{name,path,ttl}}",
            f"{POLICY}.loadBalancer.consistentHash.httpCookie.attributes.{{name,value}}",
            f"{POLICY}.loadBalancer.consistentHash.{{minimumRingSize,ringHash.minimumRingSize,maglev.tableSize}}",
            f"{POLICY}.loadBalancer.{{warmupDurationSecs,warmup.duration,warmup.minimumPercent,warmup.aggression}}",
            f"{POLICY}.loadBalancer.localityLbSetting.{{distribute,failover}}.{{from,to}}",
            f"{POLICY}.loadBalancer.localityLbSetting.{{failoverPriority,enabled}}",
            f"{POLICY}.connectionPool.tcp.{{maxConnections,connectTimeout,maxConnectionDuration,idleTimeout}}",
            f"{POLICY}.connectionPool.tcp.tcpKeepalive.{{probes,time,interval}}",
            f"{POLICY}.connectionPool.http.{{http1MaxPendingRequests,http2MaxRequests,maxRequestsPerConnection}}",
            f"{POLICY}.connectionPool.http.{{maxRetries,idleTimeout,maxConcurrentStreams}}",
            f"{POLICY}.connectionPool.http.{{h2UpgradePolicy,useClientProtocol}}",
            f"{POLICY}.connectionPool.http.http2KeepAlive.{{interval,timeout}}",
            f"{POLICY}.outlierDetection.{{consecutive5xxErrors,consecutiveGatewayErrors,interval,baseEjectionTime}}",
            f"{POLICY}.outlierDetection.{{splitExternalLocalOriginErrors,consecutiveLocalOriginFailures}}",
            f"{POLICY}.outlierDetection.{{maxEjectionPercent,minHealthPercent}}",
            f"{POLICY}.tls.{{mode,clientCertificate,privateKey,caCertificates,credentialName,subjectAltNames,sni}}",
            f"{POLICY}.tls.{{insecureSkipVerify,caCrl}}",
            f"{POLICY_TOP}.proxyProtocol.version",
            f"{POLICY_TOP}.retryBudget.{{percent,minRetryConcurrency}}",
            f"{POLICY_TOP}.tunnel.{{protocol,targetHost,targetPort}}",
        ),
        accepted(
            f"{POLICY}.loadBalancer.simple=PASSTHROUGH",
            because="a gateway's connections have no original destination, so requests get 503 (UH), as in a cluster",
            noticed=True,
            fix="choose another load balancer",
        ),
        accepted(
            f"{POLICY}.tls.mode=ISTIO_MUTUAL",
            because="there are no mesh certificates here, so the gateway speaks plain text to this host",
            noticed=True,
        ),
        accepted(
            f"{POLICY}.outlierDetection.consecutiveErrors",
            because="Istio no longer reads it",
            noticed=True,
            fix="use consecutiveGatewayErrors or consecutive5xxErrors",
        ),
    ),
    *declare(
        "networking.istio.io",
        "ServiceEntry",
        served(
            "",
            "spec.{hosts,resolution,exportTo,subjectAltNames}",
            "spec.ports.{number,name,protocol,targetPort}",
            "spec.endpoints.{address,ports,labels,weight,locality}",
            "spec.workloadSelector.labels",
        ),
        accepted("spec.location", because="the gateway reaches hosts outside the mesh as it reaches those within"),
        accepted("spec.addresses", because="a gateway finds a ServiceEntry by its host"),
        accepted("spec.endpoints.network", because="all endpoints are in one network"),
        accepted("spec.endpoints.serviceAccount", because="there are no mesh certificates here to check it against"),
    ),
    # --- networking.istio.io: stored -----------------------------------------------------------------------------
    *declare(
        "networking.istio.io",
        "EnvoyFilter",
        accepted(
            "",
            because=f"{_NO_SIDECAR}, so there is no Envoy of theirs",
            noticed=True,
            case="that selects applications alone",
            scope=Scope.APPLICATION,
        ),
        served(
            "",
            "spec.priority",
            "spec.workloadSelector.labels",
            "spec.configPatches.{applyTo,patch.operation,match.context,match.proxy.proxyVersion}",
            f"{_PATCHED}.proxy.metadata",
            f"{_PATCHED}.listener.{{name,portNumber,listenerFilter}}",
            f"{_PATCHED}.listener.filterChain.{{name,sni,transportProtocol,applicationProtocols,destinationPort}}",
            f"{_PATCHED}.listener.filterChain.filter.{{name,subFilter.name}}",
            f"{_PATCHED}.routeConfiguration.{{name,portNumber,portName,gateway}}",
            f"{_PATCHED}.routeConfiguration.vhost.{{name,domainName,route.name,route.action}}",
            f"{_PATCHED}.cluster.{{name,service,subset,portNumber}}",
            "spec.configPatches.patch.value.**",
        ),
        refused(
            "spec.configPatches.applyTo=BOOTSTRAP",
            because="the bootstrap of the gateway's Envoy is Lockgate's own, and the patch is reported (LG2044)",
        ),
        accepted(
            f"{_PATCHED}.listener.portName",
            "spec.configPatches.patch.filterClass",
            because="istiod does not read it either",
        ),
        accepted(
            f"{_PATCHED}.waypoint.{{portNumber,filter.name,filter.subFilter.name,route.name}}",
            because="waypoints are of the ambient mesh",
        ),
        accepted(
            "spec.targetRefs.{group,kind,name,namespace}",
            because="Istio ignores an EnvoyFilter with targets at a gateway of networking.istio.io",
            noticed=True,
            fix="select the gateway's Pods with spec.workloadSelector",
        ),
    ),
    *declare(
        "networking.istio.io",
        "Sidecar",
        accepted("", because=_NO_SIDECAR, noticed=True),
        accepted("spec.**", "**", because=_NO_SIDECAR),
    ),
    *declare(
        "networking.istio.io",
        "WorkloadEntry",
        served("", "spec.{address,ports,labels,weight,locality}"),
        accepted("spec.network", because="all endpoints are in one network"),
        accepted("spec.serviceAccount", because="there are no mesh certificates here to check it against"),
    ),
    *declare(
        "networking.istio.io",
        "WorkloadGroup",
        accepted("", because="no virtual machine registers here", noticed=True, fix="write its WorkloadEntries"),
        accepted("spec.**", "**", because="no virtual machine registers here"),
    ),
    *declare(
        "networking.istio.io",
        "ProxyConfig",
        accepted(
            "",
            because=f"{_NO_SIDECAR}, so there is no proxy of theirs",
            noticed=True,
            case="that selects applications alone",
            scope=Scope.APPLICATION,
        ),
        served(
            "",
            "spec.selector.matchLabels",
            "spec.environmentVariables.{ISTIO_META_HTTP10,ISTIO_META_IDLE_TIMEOUT}",
        ),
        accepted(
            "spec.environmentVariables",
            because="of the variables, the gateway reads ISTIO_META_HTTP10 and ISTIO_META_IDLE_TIMEOUT",
            noticed=True,
            when=lambda config: _sets_other_variables(config),
        ),
        accepted("spec.concurrency", because="the gateway's Envoy has as many workers as it needs", noticed=True),
        accepted("spec.image.imageType", because="the gateway's Envoy comes with Lockgate, not as an image"),
    ),
    # --- security, telemetry, extensions -------------------------------------------------------------------------
    *istio_security.ROWS,
    *declare(
        "telemetry.istio.io",
        "Telemetry",
        accepted(
            "",
            because=f"{_NO_SIDECAR}, so they write no access log, metrics or traces",
            noticed=True,
            case="that selects applications alone",
            scope=Scope.APPLICATION,
        ),
        served(
            "",
            "spec.selector.matchLabels",
            "spec.accessLogging.{match.mode,providers.name,disabled,filter.expression}",
            "spec.metrics.providers.name",
            "spec.metrics.overrides.match.{metric,customMetric,mode}",
            "spec.metrics.overrides.{disabled,tagOverrides.*.operation,tagOverrides.*.value}",
        ),
        accepted(
            "spec.tracing.{match.mode,providers.name}",
            "spec.tracing.{randomSamplingPercentage,disableSpanReporting,useRequestIdForTraceSampling}",
            "spec.tracing.{enableIstioTags,disableContextPropagation}",
            "spec.tracing.customTags.*.{literal,formatter}.value",
            "spec.tracing.customTags.*.{environment,header}.{name,defaultValue}",
            because="the gateway sends spans only with `up --otlp`: those of all requests, with these custom tags",
            noticed=True,
        ),
        accepted(
            "spec.metrics.reportingInterval",
            because="Istio reads it for TCP connections of long life, which count here when they end",
            noticed=True,
        ),
        accepted(
            "spec.{targetRef,targetRefs}.{group,kind,name,namespace}",
            because="Istio ignores a Telemetry with targets at a gateway of networking.istio.io",
            noticed=True,
            fix="select the gateway's Pods with spec.selector",
        ),
    ),
    *declare(
        "extensions.istio.io",
        "WasmPlugin",
        accepted(
            "",
            because=f"{_NO_SIDECAR}, so there is no Envoy of theirs",
            noticed=True,
            case="that selects applications alone",
            scope=Scope.APPLICATION,
        ),
        served(
            "",
            "spec.selector.matchLabels",
            "spec.{url,sha256,phase,priority,type,failStrategy,pluginName,pluginConfig,imagePullPolicy}",
            "spec.match.{mode,ports.number}",
            "spec.vmConfig.env.{name,value,valueFrom}",
        ),
        accepted(
            "spec.match.ports",
            because="istiod compares it with no port of a gateway's HTTP listeners, so this entry matches nothing",
            noticed=True,
            fix="leave ports out",
            when=lambda plugin: _object(plugin.get("spec")).get("type") != "NETWORK",
        ),
        accepted(
            "spec.vmConfig.env.valueFrom=HOST",
            because="the gateway's Envoy has no environment of a Pod",
            noticed=True,
            fix="write the value",
        ),
        accepted("spec.imagePullSecret", because="images of registries are not pulled here (LG2046)"),
        accepted("spec.verificationKey", because="Istio does not read it either", noticed=True),
        accepted(
            "spec.{targetRef,targetRefs}.{group,kind,name,namespace}",
            because="Istio ignores a WasmPlugin with targets at a gateway of networking.istio.io",
            noticed=True,
            fix="select the gateway's Pods with spec.selector",
        ),
    ),
    *_policy(
        "TrafficExtension",
        "extensions.istio.io",
        gateway="the gateway's Envoy does not load it, so what it adds, changes or refuses does not happen",
        application="there is no Envoy of theirs",
    ),
    # --- install.istio.io ----------------------------------------------------------------------------------------
    *declare(
        "install.istio.io",
        "IstioOperator",
        served(
            "",
            "spec.{profile,namespace,revision}",
            f"{_INSTALLED}.{{name,namespace,enabled,label}}",
            f"{_INSTALLED}.k8s.{{serviceAnnotations,podAnnotations}}",
            f"{_INSTALLED}.k8s.overlays.{{kind,name}}",
            f"{_INSTALLED}.k8s.overlays.patches.{{path,value}}",
            f"{_INSTALLED}.k8s.service.{{type,selector,externalIPs,ipFamilies,allocateLoadBalancerNodePorts}}",
            f"{_INSTALLED}.k8s.service.{{clusterIP,clusterIPs,externalName}}",
            f"{_INSTALLED}.k8s.service.{{loadBalancerClass,loadBalancerSourceRanges}}",
            f"{_INSTALLED}.k8s.service.{{externalTrafficPolicy,healthCheckNodePort}}",
            f"{_INSTALLED}.k8s.service.ports.{{name,protocol,appProtocol,port,targetPort,nodePort}}",
            f"{_VALUES}.global.{{istioNamespace,proxy.clusterDomain}}",
            f"{_VALUES}.gateways.*.{{labels,type,ports,serviceAnnotations,podAnnotations,secretVolumes}}.**",
            f"{_VALUES}.gateways.*.{{externalTrafficPolicy,loadBalancerClass,loadBalancerSourceRanges}}",
            f"{_VALUES}.gateways.*.{{ipFamilies,ipFamilyPolicy,externalIPs}}",
            f"{MESH}.{{rootNamespace,connectTimeout,h2UpgradePolicy,trustDomain,trustDomainAliases}}",
            f"{MESH}.{{accessLogFile,accessLogFormat,accessLogEncoding,disableEnvoyListenerLog}}",
            f"{MESH}.defaultProviders.{{accessLogging,metrics}}",
            f"{MESH}.default{{VirtualService,DestinationRule,Service}}ExportTo.**",
            f"{MESH}.defaultHttpRetryPolicy.**",
            f"{MESH}.pathNormalization.normalization",
            f"{MESH}.extensionProviders.{{name,envoyExtAuthzHttp,envoyExtAuthzGrpc,envoyFileAccessLog}}.**",
            f"{MESH}.extensionProviders.{{envoyHttpAls,envoyTcpAls,envoyOtelAls}}.**",
            f"{MESH}.tlsDefaults.{{minProtocolVersion,cipherSuites,ecdhCurves}}",
            f"{MESH}.tcpKeepalive.{{probes,time,interval}}",
            f"{MESH}.dnsRefreshRate",
            f"{MESH}.discoverySelectors.**",
            f"{MESH}.localityLbSetting.**",
            f"{MESH}.defaultConfig.gatewayTopology.**",
            f"{MESH}.defaultConfig.proxyHeaders.{{server,requestId,envoyDebugHeaders,attemptCount}}.**",
            f"{MESH}.defaultConfig.proxyHeaders.{{xForwardedPort,xForwardedHost}}.enabled",
            f"{MESH}.defaultConfig.proxyHeaders.preserveHttp1HeaderCase",
            f"{MESH}.defaultConfig.proxyMetadata.{{ISTIO_META_HTTP10,ISTIO_META_IDLE_TIMEOUT}}",
            f"{MESH}.defaultConfig.connectionSettings.{{profile,httpIdleTimeout,httpStreamIdleTimeout}}",
            f"{MESH}.defaultConfig.connectionSettings.{{httpMaxConnectionDuration,httpMaxStreamDuration}}",
            f"{MESH}.defaultConfig.connectionSettings.{{httpRequestTimeout,httpRequestHeadersTimeout,httpDrainTimeout}}",
            f"{MESH}.defaultConfig.connectionSettings.{{httpMaxConcurrentStreams,http2InitialStreamWindowSize}}",
            f"{MESH}.defaultConfig.connectionSettings.{{http2InitialConnectionWindowSize,httpMergeSlashes}}",
            f"{MESH}.defaultConfig.connectionSettings.httpHeadersWithUnderscoresAction",
            f"{MESH}.defaultConfig.connectionSettings.httpPathWithEscapedSlashesAction",
            f"{MESH}.defaultConfig.connectionSettings.{{listener,cluster}}PerConnectionBufferLimitBytes",
        ),
        accepted(
            f"{_INSTALLED}.k8s.service.{{loadBalancerIP,ipFamilyPolicy,publishNotReadyAddresses}}",
            f"{_INSTALLED}.k8s.service.{{internalTrafficPolicy,trafficDistribution}}",
            f"{_INSTALLED}.k8s.service.{{sessionAffinity,sessionAffinityConfig.clientIP.timeoutSeconds}}",
            because="it is a field of the gateway's Service, and has no effect there",
        ),
        accepted(f"{_INSTALLED}.k8s.overlays.apiVersion", because="kind and name say which object is patched"),
        accepted(
            f"{MESH}.defaultTrafficPolicy",
            because="istiod does not read it either",
            noticed=True,
            fix="write a DestinationRule",
        ),
        accepted(
            f"{MESH}.defaultConfig.proxyHeaders.{{forwardedClientCert,setCurrentClientCertDetails}}",
            because="Istio's gateways do not read it either",
            noticed=True,
            fix="use gatewayTopology.forwardClientCertDetails",
        ),
        accepted(
            f"{MESH}.defaultConfig.proxyHeaders.metadataExchangeHeaders",
            because="the gateway here never sends headers about itself",
        ),
        accepted(
            f"{MESH}.{{enableEnvoyAccessLogService,defaultConfig.envoyAccessLogService}}.**",
            because="the gateway's Envoy sends its log to this edge alone",
            noticed=True,
            fix="name the service in an extension provider of type envoyHttpAls",
        ),
        accepted(
            f"{MESH}.{{enableTracing,defaultProviders.tracing,defaultConfig.tracing}}.**",
            because="the gateway sends spans only with `up --otlp`: those of all requests",
        ),
        accepted(
            f"{MESH}.meshMTLS",
            f"{MESH}.extensionProviders.**",
            because="it is for kinds and workloads that are not served here",
        ),
        accepted(
            f"{MESH}.defaultConfig.{{drainDuration,terminationDrainDuration,holdApplicationUntilProxyStarts}}",
            f"{MESH}.defaultConfig.{{concurrency,image,binaryPath,configPath,customConfigFile,runtimeValues}}.**",
            f"{MESH}.defaultConfig.{{proxyBootstrapTemplatePath,proxyAdminPort,statusPort,readinessProbe}}.**",
            f"{MESH}.defaultConfig.{{discoveryAddress,controlPlaneAuthPolicy,caCertificatesPem,privateKeyProvider}}.**",
            because="the gateway's Envoy runs on this machine, started and configured by Lockgate",
        ),
        accepted(
            f"{MESH}.defaultConfig.{{proxyStatsMatcher,extraStatTags,statNameLength,statsdUdpAddress}}.**",
            f"{MESH}.defaultConfig.{{envoyMetricsService,statsCompression}}.**",
            because="the gateway's requests are counted as by default here",
        ),
        accepted(
            f"{MESH}.defaultConfig.{{fileFlushInterval,fileFlushMinSizeKb}}",
            because="the gateway's Envoy writes its log once a second",
        ),
        accepted(
            f"{MESH}.defaultConfig.proxyMetadata",
            because="of the variables, the gateway reads ISTIO_META_HTTP10 and ISTIO_META_IDLE_TIMEOUT",
        ),
        accepted(
            f"{MESH}.{{outboundTrafficPolicy,inboundTrafficPolicy,proxyHttpPort,proxyListenPort}}.**",
            f"{MESH}.{{proxyInboundListenPort,defaultConfig.interceptionMode}}.**",
            because="it is for sidecars",
        ),
        accepted(f"{MESH}.**", because="the gateway here does not go by it"),
        accepted(
            "spec.{hub,tag,compatibilityVersion}",
            because="no image is pulled: the gateway's Envoy comes with Lockgate",
        ),
        accepted(
            f"{_INSTALLED}.k8s.**",
            f"{_INSTALLED}.**",
            because="the gateway's Envoy runs on this machine, and its Service alone is made",
        ),
        accepted(
            "spec.components.{base,pilot,cni,ztunnel,istiodRemote}.**",
            "spec.components.**",
            f"{_VALUES}.**",
            "spec.**",
            "**",
            because="istiod's part runs inside Lockgate, and no other component is installed",
        ),
    ),
)


def _sets_other_variables(config: JsonObject) -> bool:
    variables = _object(_object(config.get("spec")).get("environmentVariables"))
    return bool(variables.keys() - {"ISTIO_META_HTTP10", "ISTIO_META_IDLE_TIMEOUT"})


def _is_for_sidecars(service: JsonObject) -> bool:
    """One without hosts is another's delegate."""
    spec = _object(service.get("spec"))
    return bool(spec.get("hosts")) and spec.get("gateways") in (None, [], ["mesh"])


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}
