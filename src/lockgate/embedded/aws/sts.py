"""STS: temporary keys for roles and users, and the identity of a key.

A role that exists in IAM is assumed as its trust policy allows, see `roles`; any other by every authenticated caller.
Callers authenticate with a key of this edge, or with a service account token of this edge's Kubernetes API.

Source: AWS Security Token Service API Reference; IAM User Guide, "Using web identity federation".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lockgate.embedded import service_accounts
from lockgate.embedded.aws import constraints, roles
from lockgate.embedded.aws.credentials import AccessKey, AccessKeys, unique_id
from lockgate.embedded.aws.protocol import Call, Refusal, Result
from lockgate.embedded.service_accounts import ServiceAccountTokens

# Operations whose input contains a token that authenticates the caller. They need no signature.
UNSIGNED = frozenset({"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"})

_ROLE = re.compile(
    r"arn:aws(?:-cn|-us-gov)?:iam::(?P<account>\d{12}):role/(?:[\x21-\x7e]*/)?(?P<name>[\w+=,.@-]{1,64})"
)
_ROLE_SESSION = 3600  # s, the default


class SecurityTokenService:
    """`tokens` verifies this edge's service account tokens. Without it, no web identity is accepted."""

    def __init__(self, account: str, keys: AccessKeys, tokens: ServiceAccountTokens | None) -> None:
        self._account = account
        self._keys = keys
        self._tokens = tokens
        self._operations: Mapping[str, Callable[[dict[str, Any], AccessKey | None], Result]] = {
            "AssumeRole": self._assume_role,
            "AssumeRoleWithWebIdentity": self._assume_role_with_web_identity,
            "AssumeRoleWithSAML": _no_saml_provider,
            "GetAccessKeyInfo": self._access_key_info,
            "GetCallerIdentity": self._caller_identity,
            "GetFederationToken": self._federation_token,
            "GetSessionToken": self._session_token,
        }

    def answer(self, call: Call, caller: AccessKey | None) -> Result:
        """`caller` is None if the operation needs no signature. Raises `Refusal`."""
        constraints.check(call)
        if call.operation not in self._operations:
            raise Refusal("NotImplemented", f"This operation of sts is not served here: {call.operation}")
        return self._operations[call.operation](call.parameters, caller)

    def _assume_role(self, parameters: dict[str, Any], caller: AccessKey | None) -> Result:
        assert caller is not None, "signed"
        self._trusted(parameters["RoleArn"], "AssumeRole", ("AWS", f"arn:aws:iam::{caller.account}:root"), caller.arn)
        return self._session(parameters)

    def _assume_role_with_web_identity(self, parameters: dict[str, Any], caller: AccessKey | None) -> Result:
        if parameters.get("ProviderId"):
            raise Refusal(
                "ValidationError", "ProviderId is only for OAuth 2.0 access tokens, which are not served here"
            )
        identity = self._identified(parameters["WebIdentityToken"].strip())  # files end with a newline
        assert self._tokens is not None
        issuer = self._tokens.issuer.removeprefix("https://")
        context = {f"{issuer}:sub".lower(): [identity.username], f"{issuer}:aud".lower(): [service_accounts.STS]}
        provider = ("Federated", self._provider())
        exists = self._trusted(parameters["RoleArn"], "AssumeRoleWithWebIdentity", provider, "", context)
        if exists and not roles.has_provider(self._account, self._tokens.issuer):
            raise _no_provider(self._tokens.issuer)
        return {
            **self._session(parameters),
            "SubjectFromWebIdentityToken": identity.username,
            "Audience": service_accounts.STS,
            "Provider": self._provider(),
        }

    def _identified(self, token: str) -> service_accounts.ServiceAccountIdentity:
        now = datetime.now(UTC)
        if self._tokens is None:
            raise _no_provider("")
        try:
            return self._tokens.verify(token, (service_accounts.STS,), now)
        except service_accounts.Malformed as error:
            text = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
            raise Refusal("InvalidIdentityToken", text) from error
        except service_accounts.UnknownIssuer as error:
            raise _no_provider(error.issuer) from error
        except service_accounts.WrongAudience as error:
            raise Refusal("InvalidIdentityToken", "Incorrect token audience") from error
        except service_accounts.ExpiredToken as error:
            text = (
                f"Token expired: current date/time {int(error.now.timestamp())} must be before the expiration "
                f"date/time {int(error.expired.timestamp())}"
            )
            raise Refusal("ExpiredTokenException", text) from error
        except service_accounts.InvalidToken as error:
            raise Refusal("InvalidIdentityToken", "The token's signature could not be verified") from error

    def _provider(self) -> str:
        assert self._tokens is not None
        issuer = self._tokens.issuer.removeprefix("https://")
        return f"arn:aws:iam::{self._account}:oidc-provider/{issuer}"

    def for_pod(self, role_arn: str, session: str, tags: Mapping[str, str]) -> Result:
        """A session for a Pod, as EKS Pod Identity asks for it with these session tags. Raises `Refusal`."""
        context = {f"aws:RequestTag/{key}".lower(): [value] for key, value in tags.items()}
        for operation in ("AssumeRole", "TagSession"):
            self._trusted(role_arn, operation, ("Service", service_accounts.PODS), "", context)
        return self._session({"RoleArn": role_arn, "RoleSessionName": session})

    def _trusted(
        self,
        role_arn: str,
        operation: str,
        principal: tuple[str, str],
        caller: str,
        context: roles.Context | None = None,
    ) -> bool:
        """Whether the role exists in IAM. Raises `Refusal` if it exists and trusts neither `principal` nor `caller`."""
        match = _ROLE.fullmatch(role_arn)
        role = roles.known(self._account, match["name"]) if match and match["account"] == self._account else None
        if role is None:
            return False
        asked = roles.Asked(f"sts:{operation}", "*", context or {})
        if not any(roles.trusts(role, each, asked) for each in (principal, ("AWS", caller))):
            who = f"User: {caller} is n" if caller else "N"
            text = f"{who}ot authorized to perform: sts:{operation}{f' on resource: {role_arn}' if caller else ''}"
            raise Refusal("AccessDenied", text, 403)
        return True

    def _session(self, parameters: dict[str, Any]) -> Result:
        role = _ROLE.fullmatch(parameters["RoleArn"])
        if role is None:
            raise Refusal("ValidationError", f"{parameters['RoleArn']} is invalid")
        partition = parameters["RoleArn"].split(":")[1]
        name = parameters["RoleSessionName"]
        arn = f"arn:{partition}:sts::{role['account']}:assumed-role/{role['name']}/{name}"
        user_id = f"AROA{unique_id()}:{name}"
        return {
            "Credentials": self._lent(arn, user_id, parameters.get("DurationSeconds", _ROLE_SESSION)),
            "AssumedRoleUser": {"AssumedRoleId": user_id, "Arn": arn},
        }

    def _session_token(self, parameters: dict[str, Any], caller: AccessKey | None) -> Result:
        assert caller is not None, "signed"
        if caller.session_token is not None:
            raise Refusal("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)
        seconds = parameters.get("DurationSeconds", 43200)
        return {"Credentials": self._lent(caller.arn, caller.user_id, seconds)}

    def _federation_token(self, parameters: dict[str, Any], caller: AccessKey | None) -> Result:
        assert caller is not None, "signed"
        if caller.session_token is not None:
            raise Refusal("AccessDenied", "Cannot call GetFederationToken with session credentials", 403)
        name = parameters["Name"]
        arn, user_id = f"arn:aws:sts::{self._account}:federated-user/{name}", f"{self._account}:{name}"
        return {
            "Credentials": self._lent(arn, user_id, parameters.get("DurationSeconds", 43200)),
            "FederatedUser": {"FederatedUserId": user_id, "Arn": arn},
        }

    def _caller_identity(self, parameters: dict[str, Any], caller: AccessKey | None) -> Result:
        assert caller is not None, "signed"
        return {"UserId": caller.user_id, "Account": caller.account, "Arn": caller.arn}

    def _access_key_info(self, parameters: dict[str, Any], caller: AccessKey | None) -> Result:
        found = self._keys.get(parameters["AccessKeyId"])
        if found is None:
            raise Refusal("ValidationError", f"Access key {parameters['AccessKeyId']} is invalid")
        return {"Account": found.account}

    def _lent(self, arn: str, user_id: str, seconds: int) -> Result:
        now = datetime.now(UTC)
        key = self._keys.lend(arn, user_id, now + timedelta(seconds=seconds), now)
        return {
            "AccessKeyId": key.id,
            "SecretAccessKey": key.secret,
            "SessionToken": key.session_token,
            "Expiration": key.expires,
        }


def _no_provider(issuer: str) -> Refusal:
    return Refusal("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer}")


def _no_saml_provider(parameters: dict[str, Any], caller: AccessKey | None) -> Result:
    """Always refused: the account has no SAML provider."""
    raise Refusal("AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML", 403)
