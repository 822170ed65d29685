"""EKS: the one cluster of the account, and its Pod Identity associations.

A Pod of an associated service account gets credentials of the role from EKS Auth, for the token that it is given.

Source: Amazon EKS API Reference; Amazon EKS Auth API Reference, "AssumeRoleForPodIdentity".
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lockgate.embedded.aws import constraints
from lockgate.embedded.aws.protocol import Call, Refusal, Result
from lockgate.embedded.service_accounts import PODS, InvalidToken, ServiceAccountTokens

_VERSION = "1.32"  # that of `embedded.kubernetes.api`


@dataclass(frozen=True, slots=True)
class Cluster:
    name: str
    endpoint: str
    ca_pem: str
    issuer: str


Vpc = Callable[[], tuple[str, tuple[str, ...], tuple[str, ...]]]


class ElasticKubernetesService:
    """`tokens` verifies the tokens of Pods, and `session` is STS's session for one of them."""

    def __init__(
        self,
        account: str,
        region: str,
        cluster: Callable[[], Cluster | None],
        vpc: Vpc,
        tokens: ServiceAccountTokens | None,
        session: Callable[[str, str, Mapping[str, str]], Result],
    ) -> None:
        self._tokens = tokens
        self._session = session
        self._account = account
        self._region = region
        self._cluster = cluster
        self._vpc = vpc
        self._created = datetime.now(UTC)
        self._associations: dict[str, dict[str, Any]] = {}
        self._operations: Mapping[str, Callable[[dict[str, Any]], Result]] = {
            "ListClusters": lambda _: {"clusters": [found.name] if (found := cluster()) else []},
            "DescribeCluster": lambda given: {"cluster": self._described(given["name"])},
            "CreatePodIdentityAssociation": self._associate,
            "ListPodIdentityAssociations": self._list,
            "DescribePodIdentityAssociation": lambda given: {"association": self._found(given)},
            "UpdatePodIdentityAssociation": self._update,
            "DeletePodIdentityAssociation": self._delete,
            "AssumeRoleForPodIdentity": self._assume,
        }

    def answer(self, call: Call) -> Result:
        """Raises `Refusal`."""
        constraints.check(call)
        if call.operation not in self._operations:
            raise Refusal("NotImplemented", f"This operation of eks is not served here: {call.operation}")
        return self._operations[call.operation](call.parameters)

    def _described(self, name: str) -> dict[str, Any]:
        cluster = self._cluster()
        if cluster is None or cluster.name != name:
            raise Refusal("ResourceNotFoundException", f"No cluster found for name: {name}.", 404)
        vpc, subnets, _ = self._vpc()
        return {
            "name": name,
            "arn": f"arn:aws:eks:{self._region}:{self._account}:cluster/{name}",
            "createdAt": self._created,
            "version": _VERSION,
            "endpoint": cluster.endpoint,
            "roleArn": f"arn:aws:iam::{self._account}:role/{name}",
            "resourcesVpcConfig": {"vpcId": vpc, "subnetIds": list(subnets), "endpointPublicAccess": True},
            "identity": {"oidc": {"issuer": cluster.issuer}},
            "status": "ACTIVE",
            "certificateAuthority": {"data": base64.b64encode(cluster.ca_pem.encode()).decode()},
            "platformVersion": "eks.1",
            "tags": {},
        }

    def _associate(self, given: dict[str, Any]) -> Result:
        self._described(given["clusterName"])
        if (there := self._associated(given["namespace"], given["serviceAccount"])) is not None:
            raise Refusal("ResourceInUseException", f"Association already exists: {there['associationId']}", 409)
        name = f"a-{uuid.uuid4().hex[:17]}"
        now = datetime.now(UTC)
        self._associations[name] = {
            **{key: given[key] for key in ("clusterName", "namespace", "serviceAccount", "roleArn")},
            "associationArn": (
                f"arn:aws:eks:{self._region}:{self._account}:podidentityassociation/{given['clusterName']}/{name}"
            ),
            "associationId": name,
            "tags": given.get("tags", {}),
            "createdAt": now,
            "modifiedAt": now,
        }
        return {"association": self._associations[name]}

    def role_of(self, namespace: str, service_account: str) -> str | None:
        """The role of a service account's association."""
        found = self._associated(namespace, service_account)
        return None if found is None else str(found["roleArn"])

    def _associated(self, namespace: str, service_account: str) -> dict[str, Any] | None:
        named = (namespace, service_account)
        return next((a for a in self._associations.values() if (a["namespace"], a["serviceAccount"]) == named), None)

    def _assume(self, given: dict[str, Any]) -> Result:
        described = self._described(given["clusterName"])
        try:
            if self._tokens is None:
                raise InvalidToken("no token is accepted here")
            identity = self._tokens.verify(given["token"], (PODS,), datetime.now(UTC))
        except InvalidToken as error:
            raise Refusal("InvalidTokenException", str(error)) from error
        found = self._associated(identity.namespace, identity.name)
        if found is None:
            text = f"No association found for the service account {identity.name} in the namespace {identity.namespace}"
            raise Refusal("ResourceNotFoundException", text, 404)
        tags = {
            "eks-cluster-arn": described["arn"],
            "eks-cluster-name": described["name"],
            "kubernetes-namespace": identity.namespace,
            "kubernetes-service-account": identity.name,
        }
        made = self._session(found["roleArn"], f"eks-{described['name']}-{identity.name}"[:64], tags)
        lent = made["Credentials"]
        return {
            "subject": {"namespace": identity.namespace, "serviceAccount": identity.name},
            "audience": PODS,
            "podIdentityAssociation": {key: found[key] for key in ("associationArn", "associationId")},
            "assumedRoleUser": {
                "arn": made["AssumedRoleUser"]["Arn"],
                "assumeRoleId": made["AssumedRoleUser"]["AssumedRoleId"],
            },
            "credentials": {
                "sessionToken": lent["SessionToken"],
                "secretAccessKey": lent["SecretAccessKey"],
                "accessKeyId": lent["AccessKeyId"],
                "expiration": lent["Expiration"],
            },
        }

    def _list(self, given: dict[str, Any]) -> Result:
        self._described(given["clusterName"])
        shown = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")
        found = [
            {key: each[key] for key in shown}
            for each in self._associations.values()
            if given.get("namespace") in (None, each["namespace"])
            and given.get("serviceAccount") in (None, each["serviceAccount"])
        ]
        return {"associations": found}

    def _update(self, given: dict[str, Any]) -> Result:
        found = self._found(given)
        found |= {"roleArn": given.get("roleArn", found["roleArn"]), "modifiedAt": datetime.now(UTC)}
        return {"association": found}

    def _delete(self, given: dict[str, Any]) -> Result:
        found = self._found(given)
        del self._associations[found["associationId"]]
        return {"association": found}

    def _found(self, given: dict[str, Any]) -> dict[str, Any]:
        self._described(given["clusterName"])
        name = given["associationId"]
        if name not in self._associations:
            raise Refusal("ResourceNotFoundException", f"No association found for id: {name}.", 404)
        return self._associations[name]
