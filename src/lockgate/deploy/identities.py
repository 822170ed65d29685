"""IAM roles of service accounts in a cluster: what there is, and the writes that give cert-manager one.

A role is this edge's if it has its tag. A role, an association or a provider of somebody else is never changed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from lockgate.controllers.aws import AwsError
from lockgate.controllers.elbv2 import read_tags
from lockgate.deploy.account import Account
from lockgate.deploy.cluster import Cluster
from lockgate.deploy.planning.destruction import Granted
from lockgate.deploy.planning.identity import (
    ANNOTATION,
    AUDIENCE,
    IRSA,
    PATH,
    POD_IDENTITY,
    POLICY,
    Bearer,
    Role,
    bearer,
    has_role,
    provider_arn,
    role_arn,
    role_name,
)
from lockgate.deploy.planning.seen import OWNER_LABEL, Association, RoleSeen, Seen
from lockgate.deploy.planning.steps import Associate, RestartPods
from lockgate.deploy.planning.versions import installed
from lockgate.deploy.waiting import StepFailed, until
from lockgate.resources import workloads

_SETTLE: Final = 60.0  # seconds in which a new role may not be known everywhere
_TAG: Final = {"Key": OWNER_LABEL}


async def read(account: Account, cluster: Cluster, seen: Seen, edge: str, wish: str) -> Seen:
    """With what `wish` needs to be planned. Raises `AwsError`, `Refused`."""
    if wish != IRSA and seen.place.cluster:
        seen = replace(seen, associations=await associations(account, seen.place.cluster))
    if wish not in (POD_IDENTITY, IRSA):
        return seen
    seen = replace(seen, role=await role_of(account, edge))
    if wish == IRSA:
        deployments = list(_deployments(seen))
        found = bearer(installed(deployments), deployments)
        raw = await cluster.get("v1", "serviceaccounts", found.name, found.namespace)
        annotated = ((raw or {}).get("metadata", {}).get("annotations") or {}).get(ANNOTATION, "")
        provider = await provider_owner(account, provider_arn(seen.place)) is not None
        seen = replace(seen, annotated=str(annotated), provider=provider)
    return seen


async def associations(account: Account, cluster: str) -> tuple[Association, ...]:
    listed = await account.list("eks", "list_pod_identity_associations", "associations", clusterName=cluster)
    described = await asyncio.gather(
        *(
            account.call(
                "eks",
                "describe_pod_identity_association",
                clusterName=cluster,
                associationId=each["associationId"],
            )
            for each in listed
        )
    )
    found = (each["association"] for each in described)
    return tuple(
        Association(
            each["associationId"],
            each["namespace"],
            each["serviceAccount"],
            each["roleArn"],
            (each.get("tags") or {}).get(OWNER_LABEL, ""),
        )
        for each in found
    )


async def role_of(account: Account, edge: str) -> RoleSeen | None:
    """The role with the edge's name."""
    name = role_name(edge)
    try:
        found = (await account.call("iam", "get_role", RoleName=name))["Role"]
    except AwsError as error:
        if error.code == "NoSuchEntity":
            return None
        raise
    try:
        answer = await account.call("iam", "get_role_policy", RoleName=name, PolicyName=POLICY)
        policy = _document(answer["PolicyDocument"])
    except AwsError as error:
        if error.code != "NoSuchEntity":
            raise
        policy = {}
    owner = read_tags(found).get(OWNER_LABEL, "")
    return RoleSeen(found["Arn"], _document(found["AssumeRolePolicyDocument"]), policy, owner)


async def provider_owner(account: Account, arn: str) -> str | None:
    """The edge that made an OIDC provider, "" if another client did, None if it does not exist."""
    try:
        found = await account.call("iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
    except AwsError as error:
        if error.code == "NoSuchEntity":
            return None
        raise
    return read_tags(found).get(OWNER_LABEL, "")


async def granted(account: Account, cluster: Cluster, seen: Seen, edge: str) -> tuple[Granted, Bearer | None]:
    """What `destroy` deletes of a role's grant. A provider stays if a role of others trusts it."""
    place, arn = seen.place, role_arn(edge, seen.place)
    listed = await associations(account, place.cluster) if place.cluster else ()
    own = tuple(each.id for each in listed if each.owner == edge)
    there = await role_of(account, edge)
    name = role_name(edge) if there is not None and there.owner == edge else ""
    found = list(_deployments(seen))
    who = bearer(installed(found), found)
    raw = await cluster.get("v1", "serviceaccounts", who.name, who.namespace)
    annotated = ((raw or {}).get("metadata", {}).get("annotations") or {}).get(ANNOTATION) == arn
    provider, kept = "", tuple[str, ...]()
    if place.issuer and await provider_owner(account, provider_arn(place)) == edge:
        provider = provider_arn(place)
        roles = await account.list("iam", "list_roles", "Roles")
        users = [each["RoleName"] for each in roles if provider in json.dumps(each["AssumeRolePolicyDocument"])]
        if others := [each for each in users if each != name]:
            kept = (f"IAM OIDC provider {provider} stays: {', '.join(others)} trust it",)
            provider = ""
    return Granted(own, name, provider, kept), who if annotated else None


async def revoke(account: Account, cluster: str, granted: Granted) -> AsyncIterator[str]:
    """Deletes it. What has gone already is passed over."""
    for each in granted.associations:
        if await _deleted(account, "eks", "delete_pod_identity_association", clusterName=cluster, associationId=each):
            yield f"Pod Identity association {each}"
    if granted.role:
        await _deleted(account, "iam", "delete_role_policy", RoleName=granted.role, PolicyName=POLICY)
        if await _deleted(account, "iam", "delete_role", RoleName=granted.role):
            yield f"IAM role {granted.role}"
    if granted.provider and await _deleted(
        account, "iam", "delete_open_id_connect_provider", OpenIDConnectProviderArn=granted.provider
    ):
        yield f"IAM OIDC provider {granted.provider}"


async def _deleted(account: Account, service: str, operation: str, **parameters: Any) -> bool:
    try:
        await account.call(service, operation, **parameters)
    except AwsError as error:
        if error.code not in ("NoSuchEntity", "ResourceNotFoundException"):
            raise
        return False
    return True


def _deployments(seen: Seen) -> Iterator[workloads.Deployment]:
    yield from (each for each in seen.resources if isinstance(each, workloads.Deployment))


def _document(value: Any) -> dict[str, Any]:
    """botocore decodes policy documents; some endpoints leave them as text."""
    found = json.loads(unquote(value)) if isinstance(value, str) else value
    return dict(found)


# --- writes --------------------------------------------------------------------------------------------------------


async def create_provider(account: Account, url: str, edge: str) -> None:
    tags = [{**_TAG, "Value": edge}]
    try:
        await account.call("iam", "create_open_id_connect_provider", Url=url, ClientIDList=[AUDIENCE], Tags=tags)
    except AwsError as error:
        if error.code != "EntityAlreadyExists":
            raise


async def put_role(account: Account, role: Role, edge: str) -> None:
    trust = json.dumps(role.trust)
    try:
        await account.call(
            "iam",
            "create_role",
            RoleName=role.name,
            Path=PATH,
            AssumeRolePolicyDocument=trust,
            Description=f"cert-manager of lockgate's edge {edge}",
            Tags=[{**_TAG, "Value": edge}],
        )
    except AwsError as error:
        if error.code != "EntityAlreadyExists":
            raise
        found = await role_of(account, edge)
        if found is None or found.owner != edge:
            raise StepFailed(f"the IAM role {role.name} exists, and it has no tag of this edge") from error
        await account.call("iam", "update_assume_role_policy", RoleName=role.name, PolicyDocument=trust)
    policy = json.dumps(role.policy)
    await account.call("iam", "put_role_policy", RoleName=role.name, PolicyName=POLICY, PolicyDocument=policy)


async def associate(account: Account, cluster: str, wanted: Associate, edge: str) -> None:
    """EKS may not know a role at once that IAM has just accepted."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _SETTLE
    while True:
        try:
            if wanted.association:
                await account.call(
                    "eks",
                    "update_pod_identity_association",
                    clusterName=cluster,
                    associationId=wanted.association,
                    roleArn=wanted.role,
                )
            else:
                await account.call(
                    "eks",
                    "create_pod_identity_association",
                    clusterName=cluster,
                    namespace=wanted.namespace,
                    serviceAccount=wanted.service_account,
                    roleArn=wanted.role,
                    tags={OWNER_LABEL: edge},
                )
        except AwsError as error:
            if error.code != "InvalidParameterException" or loop.time() > end:
                raise
            await asyncio.sleep(1.0)
        else:
            return


async def annotate(cluster: Cluster, bearer: Bearer, role: str) -> None:
    """The annotation alone: all else of the service account is Helm's. Without a role it is removed."""
    metadata: dict[str, Any] = {"name": bearer.name, "namespace": bearer.namespace}
    if role:
        metadata["annotations"] = {ANNOTATION: role}
    await cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, "serviceaccounts")


async def restart(cluster: Cluster, wanted: RestartPods, report: Callable[[str], None]) -> None:
    """As `kubectl rollout restart` does; then waits until no Pod without the role is left."""
    key = wanted.deployment
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": stamp}}}
    await cluster.patch("apps/v1", "deployments", key.name, key.namespace, {"spec": {"template": template}})

    async def old() -> str:
        listed = await cluster.objects("v1", "pods", namespace=key.namespace)
        pods = [each for each in listed if _owned(each, key.name)]
        without = [each for each in pods if not has_role(each, arn=wanted.role, annotated=wanted.annotated)]
        ready = [each for each in pods if each not in without and _is_ready(each)]
        return "" if ready and not without else f"{len(without)} Pods are from before it had its role"

    await until(old, str(key), report, longest=600.0)


def _owned(pod: dict[str, Any], deployment: str) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(str(each.get("name")).rpartition("-")[0] == deployment for each in owners)


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
