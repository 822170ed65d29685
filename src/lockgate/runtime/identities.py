"""What EKS adds to the Pods of a service account with an IAM role, and the credentials that an SDK gets with it.

Like EKS's webhook, it looks when a Pod is created: Pods from before an annotation or association have no role. The
variables are those that AWS's SDKs read, a web identity before a container's credentials.

Source: Amazon EKS User Guide, "Configure Pods to use a Kubernetes service account", "Understand how EKS Pod Identity
works"; AWS SDKs and Tools Reference Guide, "Container credential provider".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.cert_manager import Route53Access
from lockgate.controllers.cert_manager.route53 import SolverProblem
from lockgate.controllers.kubernetes import Kubernetes
from lockgate.embedded.aws import AwsApi
from lockgate.embedded.service_accounts import PODS, STS
from lockgate.resources import core
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError, NotFound

ROLE: Final = "eks.amazonaws.com/role-arn"
_ROLE_ARN: Final = "AWS_ROLE_ARN"
_CONTAINER: Final = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_WEB_IDENTITY_TOKEN: Final = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"  # noqa: S105  a path
_POD_TOKEN: Final = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"  # noqa: S105
_AGENT: Final = "http://169.254.170.23/v1/credentials"
_CERT_MANAGER: Final = {"app.kubernetes.io/name": "cert-manager"}
_TOKEN_SECONDS: Final = 3600
_RENEWED_AFTER: Final = 3000.0  # s; a session lives for an hour


class PodIdentities:
    def __init__(self, api: AwsApi, aws: Aws, kubernetes: Kubernetes, cluster: str) -> None:
        self._api = api
        self._aws = aws
        self._kubernetes = kubernetes
        self._cluster = cluster
        self._sessions: dict[str, tuple[float, Route53Access]] = {}  # by the Pod's uid: until when, and the keys

    async def injected(self, pod: JsonObject) -> JsonObject:
        """A new Pod's manifest, with the variables of its role if it has one."""
        namespace, name = pod["metadata"].get("namespace", ""), pod["spec"].get("serviceAccountName") or "default"
        variables: dict[str, str] = {}
        if role := await self._annotated(namespace, name):
            variables = {_ROLE_ARN: role, "AWS_WEB_IDENTITY_TOKEN_FILE": _WEB_IDENTITY_TOKEN}
        elif await self._api.associated_role(namespace, name):
            variables = {_CONTAINER: _AGENT, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": _POD_TOKEN}
        if not variables:
            return pod
        made = deepcopy(pod)
        for container in made["spec"].get("containers") or ():
            own = container.setdefault("env", [])
            named = {each["name"] for each in own}
            own += [{"name": key, "value": value} for key, value in variables.items() if key not in named]
        return made

    async def _annotated(self, namespace: str, name: str) -> str:
        try:
            account = await self._kubernetes.get(core.ServiceAccount, name, namespace)
        except NotFound:
            return ""
        return account.metadata.annotations.get(ROLE, "")

    async def of_cert_manager(self, region: str) -> Route53Access:
        """The ambient credentials of cert-manager's newest Pod. Raises `SolverProblem` if its role gives none."""
        pods = [
            each
            for each in await self._kubernetes.list(core.Pod, labels=_CERT_MANAGER)
            if not each.metadata.deletion_timestamp
        ]
        if not pods:
            return Route53Access(region)
        pod = max(pods, key=lambda each: (each.metadata.creation_timestamp or "", each.name))
        until, access = self._sessions.get(pod.metadata.uid, (0.0, Route53Access(region)))
        if time.monotonic() < until:
            return replace(access, region=region)
        variables = _variables(pod.manifest())
        account = str(pod.manifest()["spec"].get("serviceAccountName") or "default")
        try:
            if role := variables.get(_ROLE_ARN):
                token = await self._kubernetes.create_token(account, pod.namespace, (STS,), _TOKEN_SECONDS)
                about = {"RoleArn": role, "RoleSessionName": "cert-manager", "WebIdentityToken": token}
                lent = (await self._aws.call("sts", "assume_role_with_web_identity", **about))["Credentials"]
            elif _CONTAINER in variables:
                token = await self._kubernetes.create_token(account, pod.namespace, (PODS,), _TOKEN_SECONDS)
                about = {"clusterName": self._cluster, "token": token}
                answer = (await self._aws.call("eks-auth", "assume_role_for_pod_identity", **about))["credentials"]
                lent = {f"{key[0].upper()}{key[1:]}": value for key, value in answer.items()}
            else:
                return Route53Access(region)
        except (AwsError, ApiError) as error:
            raise SolverProblem(f"failed to refresh cached credentials: {error}") from error
        access = Route53Access(region, lent["AccessKeyId"], lent["SecretAccessKey"], lent["SessionToken"])
        self._sessions = {pod.metadata.uid: (time.monotonic() + _RENEWED_AFTER, access)}
        return access


def _variables(pod: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0].get("env") or ()}
