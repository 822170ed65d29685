"""Kubernetes' own kinds."""

from __future__ import annotations

from lockgate.resources.codes import objects as codes
from lockgate.resources.effects.components import calls_another_webhook, is_component, runs_an_application
from lockgate.resources.effects.row import Scope, accepted, declare, served
from lockgate.resources.model import JsonObject

_NO_PODS = "Pods are ready at once, and your own program or the built-in echo answers for each Service"
_BACKEND = "name your program with `--backend NAMESPACE/SERVICE:PORT=URL`"
_ONE_NODE = "there is one node, this machine, and it takes all traffic"
_NO_RBAC = "whoever has the kubeconfig may do everything here, as a cluster's administrator"

EXTERNAL_DNS = "metadata.annotations[external-dns.{alpha.,}kubernetes.io/"

# The fields of whatever runs Pods.
_ROLLED_OUT = (
    "spec.replicas",
    "spec.selector.matchLabels",
    "spec.selector.matchExpressions.{key,operator,values}",
    "spec.template.metadata.{labels,annotations,finalizers}",
)
_WORKLOAD = (
    "spec.template.metadata.{name,generateName,namespace,uid,resourceVersion,generation,selfLink}",
    "spec.template.metadata.{creationTimestamp,deletionTimestamp,deletionGracePeriodSeconds}",
    "spec.template.metadata.managedFields.**",
    "spec.template.metadata.ownerReferences.{apiVersion,kind,name,uid,controller,blockOwnerDeletion}",
    "spec.template.spec.**",
    "spec.template.**",
    "spec.**",
    "**",
)

ROWS = (
    # --- core ----------------------------------------------------------------------------------------------------
    *declare(
        "",
        "ConfigMap",
        served("", "data", "binaryData", "immutable"),
        accepted(
            "data.mesh",
            "data.meshNetworks",
            because="the mesh's settings are read from an IstioOperator's spec.meshConfig",
            noticed=True,
            fix="write them into an IstioOperator",
            case="of istiod: `istio` or `istio-REVISION`",
            when=lambda config: _name(config) == "istio" or _name(config).startswith("istio-"),
        ),
    ),
    *declare(
        "",
        "Endpoints",
        accepted(
            "",
            because="EndpointSlices alone are read; for a Service without a selector the built-in echo answers",
            noticed=True,
            fix="write an EndpointSlice, or use --backend NAMESPACE/SERVICE:PORT=URL",
        ),
        accepted(
            "subsets.{addresses,notReadyAddresses}.{ip,hostname,nodeName}",
            "subsets.{addresses,notReadyAddresses}.targetRef.{kind,namespace,name,uid,apiVersion,resourceVersion}",
            "subsets.{addresses,notReadyAddresses}.targetRef.fieldPath",
            "subsets.ports.{name,port,protocol,appProtocol}",
            because="EndpointSlices alone are read",
        ),
    ),
    *declare(
        "",
        "Event",
        served(
            "",
            "involvedObject.{kind,namespace,name,uid}",
            "{reason,message,type,count,source.component,source.host,firstTimestamp,lastTimestamp}",
        ),
        accepted(
            "involvedObject.{apiVersion,resourceVersion,fieldPath}",
            "related.{kind,namespace,name,uid,apiVersion,resourceVersion,fieldPath}",
            "{eventTime,action,series.count,series.lastObservedTime,reportingComponent,reportingInstance}",
            because="the API keeps it for kubectl to show",
        ),
    ),
    *declare(
        "",
        "Namespace",
        served(""),
        accepted("spec.finalizers", because="a namespace that is deleted goes when it is empty"),
    ),
    *declare(
        "",
        "Node",
        served("", "spec.providerID", "spec.taints.{key,effect}"),
        accepted("spec.taints.{value,timeAdded}", because="the AWS Load Balancer Controller goes by key and effect"),
        accepted(
            "spec.{podCIDR,podCIDRs,externalID}",
            "spec.unschedulable",
            "spec.configSource.**",
            because="no Pod is scheduled; a cordoned node still takes a load balancer's traffic, as on EKS",
        ),
    ),
    *declare(
        "",
        "Pod",
        accepted(
            "",
            because=_NO_PODS,
            noticed=True,
            fix=_BACKEND,
            code=codes.CONTAINERS_NOT_RUN,
            when=runs_an_application,
        ),
        accepted("", because="Lockgate stands in for what it runs", case="of a component", when=is_component),
        served("spec.containers.ports.{containerPort,name}", "spec.nodeName", "spec.readinessGates.conditionType"),
        served("spec.restartPolicy", "spec.{containers,initContainers}.resources.{limits,requests}"),
        accepted(
            "spec.{containers,initContainers}.resources.**",
            "spec.containers.{name,image,**}",
            "spec.containers.ports.{protocol,hostPort,hostIP}",
            "spec.initContainers.{name,image,**}",
            "spec.initContainers.ports.{containerPort,name,protocol,hostPort,hostIP}",
            "spec.{hostNetwork,hostname,subdomain,serviceAccountName}",
            "spec.**",
            because="no container runs here",
        ),
    ),
    *declare(
        "",
        "Secret",
        served("", "type", "data", "stringData", "immutable"),
    ),
    *declare(
        "",
        "Service",
        served(
            "",
            "spec.type",
            "spec.ports.{name,protocol,appProtocol,port,targetPort,nodePort}",
            "spec.selector",
            "spec.{clusterIP,clusterIPs,ipFamilies,externalIPs,externalName,trafficDistribution}",
            "spec.allocateLoadBalancerNodePorts",
        ),
        accepted(
            "spec.type=LoadBalancer",
            because="no controller that runs here makes its load balancer, so its EXTERNAL-IP stays pending; on EKS, "
            "without a class, the in-tree provider makes a Classic Load Balancer, or with aws-load-balancer-type: nlb "
            "a network one, unless the controller's webhook mservice.elbv2.k8s.aws is installed",
            noticed=True,
            scope=Scope.PENDING,
            fix="set spec.loadBalancerClass: service.k8s.aws/nlb, or put an Ingress of class alb in front of it",
        ),
        accepted(
            "spec.ports.protocol=SCTP",
            because="only TCP and UDP are carried: no program or echo answers on this port",
            noticed=True,
        ),
        served("spec.{loadBalancerClass,loadBalancerSourceRanges,externalTrafficPolicy,healthCheckNodePort}"),
        accepted("spec.loadBalancerIP", because="a network load balancer on AWS has no such setting"),
        accepted(
            "spec.internalTrafficPolicy",
            "spec.sessionAffinity",
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            because=_ONE_NODE,
        ),
        accepted("spec.ipFamilyPolicy", because="everything listens on IPv4's loopback"),
        accepted("spec.publishNotReadyAddresses", because="what answers here is always ready"),
        served(f"{EXTERNAL_DNS}target]", "metadata.annotations[networking.istio.io/exportTo]"),
        accepted(
            f"{EXTERNAL_DNS}hostname]",
            because="a node or a Pod of this machine has no public address",
            noticed=True,
            fix="annotate the Ingress, or name the host in it",
            case="of another type than LoadBalancer",
            when=lambda service: not _has_load_balancer(service),
        ),
        served(f"{EXTERNAL_DNS}hostname]"),
        accepted(
            f"{EXTERNAL_DNS}{{internal-hostname,endpoints-type}}]",
            because="external-dns makes records for load balancers here, not for addresses inside the cluster",
            noticed=True,
            fix="annotate the Ingress, or name the host in it",
        ),
        served("metadata.annotations[service.beta.kubernetes.io/*]"),  # `ingress.services.faults` has the exceptions
    ),
    *declare(
        "",
        "ServiceAccount",
        served(""),  # tokens are issued for it
        accepted(
            "secrets.{kind,namespace,name,uid,apiVersion,resourceVersion,fieldPath}",
            "imagePullSecrets.name",
            "automountServiceAccountToken",
            because="no Pod runs as it",
        ),
    ),
    *declare(
        "",
        "PersistentVolume PersistentVolumeClaim LimitRange ResourceQuota PodTemplate ComponentStatus Binding",
        accepted("", because="no Pod runs that it would bear on"),
        accepted("**", because="no Pod runs that it would bear on"),
    ),
    # --- workloads -----------------------------------------------------------------------------------------------
    *declare(
        "apps",
        "Deployment ReplicaSet StatefulSet DaemonSet",
        accepted(
            "",
            because=_NO_PODS,
            noticed=True,
            fix=_BACKEND,
            code=codes.CONTAINERS_NOT_RUN,
            when=runs_an_application,
        ),
        accepted("", because="Lockgate stands in for what it runs", case="of a component", when=is_component),
        accepted(
            "spec.template.metadata.annotations[proxy.istio.io/config]",
            because="the gateway's Pod is made from its Service, and its settings from an IstioOperator",
            noticed=True,
            fix="write them into meshConfig.defaultConfig of an IstioOperator",
            case="of a gateway",
            when=is_component,
        ),
        served(*_ROLLED_OUT),
        accepted(
            *_WORKLOAD,
            because="no container runs here; of the AWS Load Balancer Controller's Deployment the arguments count",
        ),
    ),
    *declare("apps", "Deployment", served("spec.{paused,revisionHistoryLimit,minReadySeconds}", "spec.strategy.type")),
    *declare(
        "apps",
        "StatefulSet",
        served(
            "spec.{serviceName,revisionHistoryLimit,minReadySeconds}",
            "spec.ordinals.start",
            "spec.updateStrategy.{type,rollingUpdate.partition}",
        ),
    ),
    *declare("apps", "ReplicaSet", served("spec.minReadySeconds")),
    *declare("apps", "ControllerRevision", served("", "data.**", "revision", "**")),
    *declare(
        "apps",
        "DaemonSet",
        served("spec.updateStrategy.type", "spec.{revisionHistoryLimit,minReadySeconds}"),
        accepted("spec.updateStrategy.rollingUpdate.partition", because="it belongs to StatefulSets"),
    ),
    *declare(
        "batch",
        "Job CronJob",
        accepted(
            "",
            because="counted as completed at once",
            noticed=True,
            code=codes.CONTAINERS_NOT_RUN,
            when=runs_an_application,
        ),
    ),
    *declare(
        "batch",
        "Job CronJob",
        accepted("", because="Lockgate stands in for what it runs", case="of a component", when=is_component),
        served(*_ROLLED_OUT),
        accepted(
            *_WORKLOAD,
            because="no container runs here",
        ),
    ),
    *declare("batch", "Job", served("spec.{completions,parallelism,suspend,ttlSecondsAfterFinished}")),
    *declare(
        "batch",
        "CronJob",
        served(
            "spec.{schedule,timeZone,suspend,concurrencyPolicy,startingDeadlineSeconds}",
            "spec.{successfulJobsHistoryLimit,failedJobsHistoryLimit,jobTemplate.**}",
        ),
    ),
    *declare(
        "",
        "ReplicationController",
        accepted("", because="no Pod is made for it; the built-in echo answers", noticed=True, fix=_BACKEND),
        accepted("**", because="no container runs here"),
    ),
    *declare(
        "autoscaling",
        "HorizontalPodAutoscaler",
        accepted("", because="no Pod runs that it would scale", noticed=True),
        accepted("spec.**", "**", because="no Pod runs that it would scale"),
    ),
    *declare(
        "policy",
        "PodDisruptionBudget",
        accepted("", because="no Pod runs that it would protect", noticed=True),
        accepted("spec.**", "**", because="no Pod runs that it would protect"),
    ),
    # --- networking ----------------------------------------------------------------------------------------------
    *declare(
        "networking.k8s.io",
        "Ingress",
        accepted(
            "",
            because="its class is another controller's, which does not run here, so no load balancer is made for it",
            noticed=True,
            fix="use a class of the AWS Load Balancer Controller",
            case="of another controller's class",
            scope=Scope.FOREIGN,
            when=lambda ingress: _has_class(ingress),
        ),
        accepted(
            "",
            because="it names no class and no IngressClass is the default, so no controller takes it",
            noticed=True,
            fix="set spec.ingressClassName: alb",
            case="without a class",
            scope=Scope.FOREIGN,
            when=lambda ingress: not _has_class(ingress),
        ),
        served(
            "",
            "spec.ingressClassName",
            "spec.rules.host",
            "spec.rules.http.paths.{path,pathType}",
            "spec.{defaultBackend,rules.http.paths.backend}.service.name",
            "spec.{defaultBackend,rules.http.paths.backend}.service.port.{name,number}",
            "spec.tls.{hosts,secretName}",
        ),
        accepted(
            "spec.{defaultBackend,rules.http.paths.backend}.resource.{apiGroup,kind,name}",
            because="the AWS Load Balancer Controller routes to Services alone, and does not build such an Ingress",
        ),
        served(f"{EXTERNAL_DNS}{{controller,hostname,target,ttl,alias,set-identifier,ingress-hostname-source}}]"),
        served(f"{EXTERNAL_DNS}aws-{{weight,region,failover,multi-value-answer,evaluate-target-health}}]"),
        served(f"{EXTERNAL_DNS}aws-geolocation-{{continent,country,subdivision}}-code]"),
        accepted(
            f"{EXTERNAL_DNS}aws-{{health-check-id,geoproximity-*,zone-match-parent}}]",
            because="external-dns does not read it here: the record is written without it",
            noticed=True,
        ),
        served(
            "metadata.annotations[cert-manager.io/{issuer,cluster-issuer,issuer-kind,issuer-group}]",
            "metadata.annotations[cert-manager.io/{common-name,email-sans,duration,renew-before,usages}]",
            "metadata.annotations[cert-manager.io/{revision-history-limit,secret-template,private-key-*,subject-*}]",
            "metadata.annotations[kubernetes.io/tls-acme]",
        ),
        accepted(
            "metadata.annotations[cert-manager.io/{alt-names,ip-sans,uri-sans}]",
            because="cert-manager reads a certificate's names from the hosts of spec.tls",
            noticed=True,
            fix="list the names under spec.tls.hosts",
        ),
        accepted(
            "metadata.annotations[acme.cert-manager.io/http01-*]", because="no Pod answers HTTP-01 challenges here"
        ),
    ),
    *declare(
        "networking.k8s.io",
        "IngressClass",
        served("", "spec.controller", "spec.parameters.{apiGroup,kind,name}"),
        accepted("spec.parameters.{namespace,scope}", because="IngressClassParams are cluster-scoped"),
    ),
    *declare(
        "networking.k8s.io",
        "NetworkPolicy",
        accepted(
            "",
            because="connections that it blocks in a cluster are made here",
            noticed=True,
            code=codes.NOT_ENFORCED,
        ),
        accepted("spec.**", "**", because="nothing enforces it"),
    ),
    *declare(
        "discovery.k8s.io",
        "EndpointSlice",
        served(
            "",
            "addressType",
            "endpoints.addresses",
            "endpoints.conditions.{ready,terminating}",
            "endpoints.targetRef.{kind,namespace,name}",
            "endpoints.nodeName",
            "ports.{name,port}",
        ),
        accepted(
            "endpoints.conditions.serving",
            "endpoints.{hostname,deprecatedTopology,zone,hints.**}",
            "endpoints.targetRef.{uid,apiVersion,resourceVersion,fieldPath}",
            because="neither load balancer nor gateway goes by it",
        ),
        accepted("ports.{protocol,appProtocol}", because="the Service's port says it"),
    ),
    # --- the API itself ------------------------------------------------------------------------------------------
    *declare(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        served("", "spec.**", "**"),
    ),
    *declare(
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration MutatingWebhookConfiguration",
        accepted(
            "",
            because="the checks of these webhooks are built into the API here, so they are not called",
            case="of the AWS Load Balancer Controller, cert-manager or Istio",
            when=lambda configuration: not calls_another_webhook(configuration),
        ),
        served("", "**"),
    ),
    *declare(
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding",
        accepted("spec.auditAnnotations.**", because="no audit log is written"),
        served("", "**"),
    ),
    *declare(
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding",
        accepted(
            "",
            because="rules in CEL are not evaluated, so the API does not change objects as a cluster does",
            noticed=True,
            code=codes.NOT_ENFORCED,
        ),
        accepted("**", because="rules in CEL are not evaluated"),
    ),
    *declare(
        "coordination.k8s.io",
        "Lease",
        served("", "spec.**", "**"),
    ),
    *declare(
        "rbac.authorization.k8s.io",
        "Role ClusterRole RoleBinding ClusterRoleBinding",
        accepted("", because=_NO_RBAC),
        accepted("spec.**", "**", because=_NO_RBAC),
    ),
)


def _has_class(ingress: dict[str, object]) -> bool:
    metadata, spec = ingress.get("metadata"), ingress.get("spec")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    annotated = isinstance(annotations, dict) and annotations.get("kubernetes.io/ingress.class")
    return bool(annotated or (isinstance(spec, dict) and spec.get("ingressClassName")))


def _name(manifest: dict[str, object]) -> str:
    metadata = manifest.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _has_load_balancer(service: JsonObject) -> bool:
    spec = service.get("spec")
    return isinstance(spec, dict) and spec.get("type") == "LoadBalancer"
