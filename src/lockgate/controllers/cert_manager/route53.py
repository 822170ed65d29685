"""The Route 53 solver: writes and removes a challenge's TXT record through Route 53's API.

Source: cert-manager, `pkg/issuer/acme/dns/route53/route53.go`, `pkg/issuer/acme/dns/dns.go`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.cert_manager.environment import Environment, Route53Access
from lockgate.controllers.cert_manager.secrets import SecretProblem, read
from lockgate.controllers.dns import DnsFailure
from lockgate.resources import cert_manager as cm
from lockgate.resources.status import ApiError

TTL = 10
TOKEN_SECONDS = 600  # the minimum of TokenRequest
REDACTED = "<redacted AWS SDK error: http.ResponseError: see events and logs for details>"


_MOST_CLIENTS = 32


class SolverProblem(Exception):
    """Why a record cannot be written or removed. `redacted` is the message for a status that others may read."""

    def __init__(self, message: str, redacted: str = "") -> None:
        super().__init__(message)
        self.redacted = redacted or message


@dataclass(slots=True)
class Route53Solver:
    """Clients are cached, because creating one takes longer than using it."""

    environment: Environment
    _clients: dict[Route53Access, Aws] = field(default_factory=dict)

    async def present(
        self,
        issuer: cm.Issuer | cm.ClusterIssuer,
        route53: cm.Route53,
        fqdn: str,
        value: str,
    ) -> None:
        """Raises `SolverProblem`."""
        aws = await self._client(issuer, route53)
        zone = await self._zone(aws, route53, fqdn)
        await self._change(aws, zone, "UPSERT", fqdn, value)

    async def clean_up(
        self,
        issuer: cm.Issuer | cm.ClusterIssuer,
        route53: cm.Route53,
        fqdn: str,
        value: str,
    ) -> None:
        """Succeeds if the record does not exist. Raises `SolverProblem`."""
        aws = await self._client(issuer, route53)
        zone = await self._zone(aws, route53, fqdn)
        try:
            await self._change(aws, zone, "DELETE", fqdn, value)
        except SolverProblem as problem:
            if isinstance(problem.__cause__, AwsError) and problem.__cause__.code == "InvalidChangeBatch":
                return
            raise

    # --- the record ----------------------------------------------------------------------------------------------

    async def _change(self, aws: Aws, zone: str, action: str, fqdn: str, value: str) -> None:
        # One record set per value: apex and wildcard share a name, and neither may remove the other's value.
        record = {
            "Name": f"{fqdn}.",
            "Type": "TXT",
            "TTL": TTL,
            "MultiValueAnswer": True,
            "SetIdentifier": f'"{value}"',
            "ResourceRecords": [{"Value": f'"{value}"'}],
        }
        batch = {
            "Comment": "Managed by cert-manager",
            "Changes": [{"Action": action, "ResourceRecordSet": record}],
        }
        try:
            await aws.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)
        except AwsError as error:
            what = "failed to change Route 53 record set"
            message = f"{what}: {_sdk_text('Route 53', 'ChangeResourceRecordSets', error)}"
            raise SolverProblem(message, f"{what}: {REDACTED}") from error
        # No wait for the change is needed: the self-check verifies that it is visible.

    async def _zone(self, aws: Aws, route53: cm.Route53, fqdn: str) -> str:
        if route53.hosted_zone_id:
            return route53.hosted_zone_id
        what = "failed to determine Route 53 hosted zone ID"
        try:
            zone = await self.environment.names.zone(fqdn)
        except DnsFailure as failure:
            raise SolverProblem(f"{what}: error finding zone from fqdn: {failure}") from None
        if zone is None:
            raise SolverProblem(
                f"{what}: error finding zone from fqdn: Could not find the SOA record in the DNS tree for the domain "
                f"'{fqdn}.' using nameservers [{self.environment.names.host}:{self.environment.names.port}]"
            )
        try:
            listed = await aws.call("route53", "list_hosted_zones_by_name", DNSName=zone)
        except AwsError as error:
            message = f"{what}: {_sdk_text('Route 53', 'ListHostedZonesByName', error)}"
            raise SolverProblem(message, f"{what}: {REDACTED}") from error
        best = ("", "")
        for each in listed["HostedZones"]:
            name = each["Name"].rstrip(".")
            if each.get("Config", {}).get("PrivateZone"):
                continue
            if (fqdn == name or fqdn.endswith(f".{name}")) and len(name) > len(best[0]):
                best = (name, each["Id"])
        if not best[1]:
            raise SolverProblem(f"{what}: zone {best[0]} not found in Route 53 for domain {fqdn}.")
        return best[1].removeprefix("/hostedzone/")

    # --- credentials ---------------------------------------------------------------------------------------------

    async def _client(self, issuer: cm.Issuer | cm.ClusterIssuer, route53: cm.Route53) -> Aws:
        access = await self._access(issuer, route53)
        client = self._of(access)
        if not route53.role:
            return client
        session = {"RoleArn": route53.role, "RoleSessionName": "cert-manager"}
        if route53.auth is not None:
            reference = route53.auth.kubernetes.service_account_ref
            token = await self._token(self.environment.resource_namespace(issuer), reference)
            answer = await _assumed(client, "AssumeRoleWithWebIdentity", **session, WebIdentityToken=token)
        else:
            answer = await _assumed(client, "AssumeRole", **session)
        credentials = answer["Credentials"]
        return self._of(
            Route53Access(
                access.region,
                credentials["AccessKeyId"],
                credentials["SecretAccessKey"],
                credentials["SessionToken"],
            )
        )

    def _of(self, access: Route53Access) -> Aws:
        if access not in self._clients:
            if len(self._clients) >= _MOST_CLIENTS:  # sessions of roles have other keys every hour
                self._clients.clear()
            self._clients[access] = self.environment.route53(access)
        return self._clients[access]

    async def _access(self, issuer: cm.Issuer | cm.ClusterIssuer, route53: cm.Route53) -> Route53Access:
        prefix = "error instantiating route53 challenge solver: unable to construct route53 provider: "
        if route53.auth is not None:
            if not route53.role:
                raise SolverProblem(f"{prefix}role must be set when web identity token is set")
            return Route53Access(route53.region)
        namespace = self.environment.resource_namespace(issuer)
        key_id = route53.access_key_id.strip()
        if route53.access_key_id_secret_ref is not None:
            key_id = await self._secret(namespace, route53.access_key_id_secret_ref, "access key ID")
        secret = ""
        if route53.secret_access_key_secret_ref is not None:
            secret = await self._secret(namespace, route53.secret_access_key_secret_ref, "secret access key")
            secret = secret.strip()
        if not key_id and not secret:
            ambient = (
                self.environment.issuer_ambient_credentials
                if isinstance(issuer, cm.Issuer)
                else self.environment.cluster_issuer_ambient_credentials
            )
            if not ambient:
                raise SolverProblem(f"{prefix}empty credentials; perhaps you meant to enable ambient credentials?")
            return await self.environment.ambient(route53.region)
        if not key_id or not secret:
            raise SolverProblem(f"{prefix}only one of access and secret key was provided")
        return Route53Access(route53.region, key_id, secret)

    async def _token(self, namespace: str, reference: cm.ServiceAccountReference) -> str:
        audiences = (*reference.audiences, "sts.amazonaws.com")
        try:
            return await self.environment.kubernetes.create_token(reference.name, namespace, audiences, TOKEN_SECONDS)
        except ApiError as error:
            raise SolverProblem(
                "error instantiating route53 challenge solver: failed to request token for "
                f"{namespace}/{reference.name}: {error.message}"
            ) from None

    async def _secret(self, namespace: str, reference: cm.SecretKeyReference, what: str) -> str:
        try:
            value = await read(self.environment.kubernetes, namespace, reference.name, reference.key)
        except SecretProblem as problem:
            raise SolverProblem(f"error getting route53 {what}: {problem}") from None
        if not value:
            raise SolverProblem(
                f'error getting route53 {what}: no data found in Secret "{reference.name}" at Key "{reference.key}"'
            )
        return value.decode(errors="replace")


async def _assumed(client: Aws, operation: str, **parameters: str) -> dict[str, Any]:
    """STS's response with the credentials of a role. Raises `SolverProblem`."""
    try:
        answer = await client.call("sts", re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower(), **parameters)
    except AwsError as error:
        what = "error instantiating route53 challenge solver: unable to construct route53 provider: "
        what += "unable to assume role"
        message = f"{what}: {_sdk_text('STS', operation, error)}"
        raise SolverProblem(message, f"{what}: {REDACTED}") from error
    return dict(answer)


def _sdk_text(service: str, operation: str, error: AwsError) -> str:
    """The error in the words of AWS's SDK for Go."""
    return f"operation error {service}: {operation}, https response error, api error {error.code}: {error.message}"
