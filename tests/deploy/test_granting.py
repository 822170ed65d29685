"""The steps after which cert-manager has a role, by what there is; and what the role may do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lockgate.deploy.planning import identity
from lockgate.deploy.planning.granting import granting
from lockgate.deploy.planning.intent import Intent, intend
from lockgate.deploy.planning.seen import Association, Place, RoleSeen, Seen
from lockgate.deploy.planning.steps import Annotate, Associate, CreateProvider, PutRole, RestartPods
from lockgate.resources.model import ObjectKey
from lockgate.resources.workloads import Deployment
from lockgate.runtime import settings
from lockgate.runtime.reading import files
from tests.deploy.deploy_rig import EDGE

PLACE = Place(
    "123456789012", "eu-west-1", "me", "c", "https://c", "v1.32.4", "prod", issuer="https://oidc.example/id/A"
)
ROLE = "arn:aws:iam::123456789012:role/dns"
OWN = "arn:aws:iam::123456789012:role/lockgate/lockgate-shop-cert-manager"
KEY = ObjectKey("apps", "Deployment", "cert-manager", "cert-manager")
CONTAINER = {"name": "cert-manager", "image": "quay.io/jetstack/cert-manager-controller:v1.20.2"}
DEPLOYMENT = Deployment.model_validate(
    {
        "metadata": {"name": "cert-manager", "namespace": "cert-manager"},
        "spec": {"template": {"spec": {"serviceAccountName": "cert-manager", "containers": [CONTAINER]}}},
    }
)


@pytest.fixture(scope="module")
def intent() -> Intent:
    options = settings.options((str(EDGE),), name="shop")
    return intend(files.load((str(EDGE),)), options, account="123456789012", region="eu-west-1", without_keys=True)


def pod(**env: str) -> dict[ObjectKey, dict[str, Any]]:
    container = {**CONTAINER, "env": [{"name": key, "value": value} for key, value in env.items()]}
    owner = [{"kind": "ReplicaSet", "name": "cert-manager-5z2jw5jbgt"}]
    raw = {
        "metadata": {"name": "p", "namespace": "cert-manager", "ownerReferences": owner},
        "spec": {"serviceAccountName": "cert-manager", "containers": [container]},
    }
    return {ObjectKey("", "Pod", "cert-manager", "p"): raw}


def steps(intent: Intent, wish: str, seen: Seen, *, installed: bool = True) -> list[type]:
    found = granting(intent, seen, [DEPLOYMENT] if installed else [], wish)
    assert not found.problems
    return [type(each) for each in (*found.before, *found.after)]


def associated(role: str, owner: str = "shop") -> tuple[Association, ...]:
    return (Association("a-1", "cert-manager", "cert-manager", role, owner),)


def test_what_is_missing_is_done_in_order(intent: Intent) -> None:
    plain = Seen(PLACE, raw=pod())
    assert steps(intent, "", plain) == []
    assert steps(intent, "pod-identity", plain) == [PutRole, Associate, RestartPods]
    assert steps(intent, "irsa", plain) == [CreateProvider, PutRole, Annotate, RestartPods]
    assert steps(intent, ROLE, plain) == [Associate, RestartPods]
    assert steps(intent, "pod-identity", plain, installed=False) == [PutRole, Associate]
    assert steps(intent, "irsa", replace(plain, provider=True), installed=False) == [PutRole]
    values = granting(intent, plain, [], "irsa").values
    assert values == {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": OWN}}}


def test_what_is_there_is_kept_and_what_differs_is_changed(intent: Intent) -> None:
    bearer = identity.Bearer("cert-manager", "cert-manager", KEY)
    by_pod = identity.role(intent, Seen(PLACE), "pod-identity", bearer)
    there = RoleSeen(OWN, by_pod.trust, by_pod.policy, "shop")
    running = pod(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://169.254.170.23/v1/credentials")
    whole = Seen(PLACE, raw=running, role=there, associations=associated(OWN))
    assert steps(intent, "pod-identity", whole) == []
    assert steps(intent, "pod-identity", replace(whole, role=replace(there, policy={}))) == [PutRole]
    other = replace(whole, associations=associated(ROLE))
    assert steps(intent, "pod-identity", other) == [Associate]
    assert granting(intent, other, [DEPLOYMENT], "pod-identity").before == (
        Associate("cert-manager", "cert-manager", OWN, "a-1"),
    )
    by_token = identity.role(intent, Seen(PLACE), "irsa", bearer)
    annotated = Seen(PLACE, raw=pod(AWS_ROLE_ARN=OWN), provider=True, annotated=OWN)
    annotated = replace(annotated, role=RoleSeen(OWN, by_token.trust, by_token.policy, "shop"))
    assert steps(intent, "irsa", annotated) == []
    assert steps(intent, "irsa", replace(annotated, raw=pod(AWS_ROLE_ARN=ROLE))) == [RestartPods]


def test_what_others_made_is_a_problem(intent: Intent) -> None:
    theirs = RoleSeen(OWN, {}, {}, "")
    (problem,) = granting(intent, Seen(PLACE, role=theirs), [DEPLOYMENT], "pod-identity").problems
    assert "has no tag of this edge" in problem.text
    seen = Seen(PLACE, associations=associated(ROLE, owner=""))
    (problem,) = granting(intent, seen, [DEPLOYMENT], "pod-identity").problems
    assert "somebody else made" in problem.text


def test_the_role_may_write_challenges_in_the_issuers_zones_only(intent: Intent) -> None:
    bearer = identity.Bearer("cert-manager", "cert-manager")
    role = identity.role(intent, Seen(PLACE), "irsa", bearer)
    allowed = {each["Action"]: each["Resource"] for each in role.policy["Statement"]}
    zone = ["arn:aws:route53:::hostedzone/Z08765432TOWPATH0001"]
    assert allowed == {
        "route53:GetChange": "arn:aws:route53:::change/*",
        "route53:ListResourceRecordSets": zone,
        "route53:ChangeResourceRecordSets": zone,
    }
    claims = role.trust["Statement"][0]["Condition"]["StringEquals"]
    assert claims == {
        "oidc.example/id/A:aud": "sts.amazonaws.com",
        "oidc.example/id/A:sub": "system:serviceaccount:cert-manager:cert-manager",
    }
    assert len(identity.role_name("a" * 63)) == 64
