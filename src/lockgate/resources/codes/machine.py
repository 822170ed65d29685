"""LG90xx: this machine, and the APIs and Envoys that run on it."""

from __future__ import annotations

from lockgate.resources.faults import Code, Severity

UNREADABLE = Code(
    "LG9001",
    Severity.ERROR,
    "A file that cannot be read",
    message="the file cannot be read: {reason}",
    fix="correct its permissions, or remove it",
    what="A file below the given paths exists, and this user cannot read it.",
    why="Its objects do not exist in the edge. The other files are served.",
    example="""
        $ chmod 000 k8s/web.yaml
        $ lockgate up k8s/
        """,
)
SPECIAL_FILE = UNREADABLE.variant("{kind} is not read", "write its content into a file, or pipe it in: lockgate up -")
TOO_MUCH = UNREADABLE.variant("the file is not read, because there are more than {limit}", "name a smaller folder")
LEADS_BACK = Code(
    "LG9006",
    Severity.INFO,
    "A link to a folder that is read already",
    message="this link leads back to {folder}, which is read once",
    what="A symbolic link below the given paths leads to a folder that contains it, or that is read already.",
    why="Following it would read the same files again, or never end. It is not followed.",
    example="""
        $ ln -s .. k8s/all
        $ lockgate up k8s/
        """,
)
REFUSED = Code(
    "LG9002",
    Severity.ERROR,
    "Refused by the Kubernetes API",
    message="the Kubernetes API refuses {object}: {refusal}",
    fix="correct the object; the others are applied",
    what="The object alone is valid, and the API refuses it for what exists: an immutable field that changes, a node "
    "port or an address that is taken.",
    why="The object does not exist in the edge, or stays as it was. A cluster refuses the same change.",
    example="""
        # changes the selector of a Deployment that exists, which is immutable
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: shop}
        spec:
          selector: {matchLabels: {app: web, tier: frontend}}
          template:
            metadata: {labels: {app: web, tier: frontend}}
            spec: {containers: [{name: web, image: example.com/web:1}]}
        """,
)
ADVISED = Code(
    "LG9009",
    Severity.WARNING,
    "Warned about by an admission policy",
    message="{warning}",
    fix="correct the object, or the policy",
    what="A ValidatingAdmissionPolicy of the manifests whose binding only warns is violated by the object.",
    why="The object is applied. A cluster applies it, too, and `kubectl apply` prints the same warning.",
    example="""
        # an object that violates the policy of this binding
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingAdmissionPolicyBinding
        metadata: {name: owners}
        spec: {policyName: owners, validationActions: [Warn]}
        """,
)
REJECTED = Code(
    "LG9003",
    Severity.ERROR,
    "Rejected by Envoy",
    message="Envoy ({envoy}) rejects {part}: {reason}",
    fix="report it: Lockgate should have refused this itself, with the line of the manifest",
    what="Envoy does not accept a part of the configuration that the manifests lead to. The reason is Envoy's.",
    why="A route, virtual host, server or rule at fault is left out, and everything else is served. Of anything else, "
    "what Envoy accepted before goes on serving; where there is nothing from before, nothing is served.",
)
LEFT_OUT = REJECTED.variant(
    "Envoy ({envoy}) rejects {part}, which is left out: {reason}",
    "correct it; the rest is served",
)
NOT_MADE = Code(
    "LG9004",
    Severity.ERROR,
    "Something in the AWS account cannot be made",
    message="{piece} cannot be made: {reason}",
    what="Manifests refer to certificates, zones and user pools that a team has in its account, and `up` makes "
    "stand-ins for them. This one cannot be made.",
    why="It does not exist in the edge's account, and the listener that needs it waits.",
)
NOT_EVALUATED = Code(
    "LG9005",
    Severity.WARNING,
    "A rule of a web ACL that is not evaluated",
    message="rule {rule} of web ACL {web_acl} is not evaluated: {reason}",
    what="The web ACL of a load balancer has a rule that Lockgate cannot evaluate, such as one of AWS's managed groups."
    "The web ACL of a load balancer has a rule that Lockgate cannot evaluate, such as one of AWS's managed groups.",
    why="The rule never matches here. On AWS it may count, block or challenge some requests.",
    example="""
        $ lockgate exec -- aws wafv2 create-web-acl --scope REGIONAL --name shop --default-action Allow={} \\
            --visibility-config SampledRequestsEnabled=false,CloudWatchMetricsEnabled=false,MetricName=shop \\
            --rules file://rules.json
        """,
)
DELETED = Code(
    "LG9007",
    Severity.WARNING,
    "An object that somebody deleted",
    message="{object} was deleted through the Kubernetes API, and is not served",
    fix="save its file to create it again, or remove it from the file",
    what="The files have the object, and somebody deleted it with kubectl or another client of the API.",
    why="The deletion counts until the file is saved, as it does in a cluster. What hangs on the object goes without.",
    example="""
        $ lockgate exec -- kubectl delete --namespace shop service web
        $ lockgate status
        """,
)
INCOMPLETE = Code(
    "LG9008",
    Severity.WARNING,
    "Files that are incomplete for now",
    message="{reason}; the last good state goes on serving",
    fix="nothing needs to be done if a tool is at work on them",
    what="A path that `up` was given does not exist any more, no usable object is left in the files, or a program has "
    "had a file open for writing for some seconds.",
    why="What was there before is served until the files are complete again. Changes of other files count.",
    example="""
        $ mv k8s elsewhere
        $ lockgate status
        """,
)
