"""EKS: the one cluster of the account, and its Pod Identity associations.

Source: Amazon EKS API Reference. An association is stored; Pods of this machine get no credentials from it, because
the controllers of the edge may do everything.
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

_VERSION = "1.32"  # that of `embedded.kubernetes.api`


@dataclass(frozen=True, slots=True)
class Cluster:
    name: str
    endpoint: str
    ca_pem: str
    issuer: str


Vpc = Callable[[], tuple[str, tuple[str, ...], tuple[str, ...]]]


class ElasticKubernetesService:
    def __init__(self, account: str, region: str, cluster: Callable[[], Cluster | None], vpc: Vpc) -> None:
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
        for each in self._associations.values():
            if (each["namespace"], each["serviceAccount"]) == (given["namespace"], given["serviceAccount"]):
                raise Refusal("ResourceInUseException", f"Association already exists: {each['associationId']}", 409)
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
