"""Sorts of values: which values are valid, and the replacement for a placeholder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from lockgate.edge.location import Place
from lockgate.resources.arns import REGIONS, Arn, is_account, is_partition, parse_arn, partition_of
from lockgate.resources.placeholders import Token, masked, slug, substitute, tokens


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of value. `noun` is its name with an article; `production` describes the effect of a placeholder on AWS
    and in a cluster. `stand_in` is the replacement; None removes the field, so that its default applies."""

    noun: str
    production: str
    proper: Callable[[str], bool]
    stand_in: Callable[[str, Place], str | None]


def is_placeholder(text: str) -> bool:
    """Whether an invalid value is a placeholder."""
    return not text.strip() or bool(tokens(text)) or masked(text)


# --- replacements ------------------------------------------------------------------------------------------------


def _slugged(text: str, _place: Place) -> str:
    return substitute(text, slug)


def _left_out(_text: str, _place: Place) -> None:
    return None


def _always(value: str) -> Callable[[str, Place], str]:
    return lambda _text, _place: value


def _id(prefix: str) -> Callable[[str, Place], str]:
    """An EC2 ID, always the same for the same placeholder."""
    return lambda text, _place: f"{prefix}0{blake2b(text.encode(), digest_size=8).hexdigest()}"


def _host(text: str, _place: Place) -> str:
    """Each token becomes a label; a token at the end becomes a domain: ``api.${DOMAIN}`` is ``api.domain.example``."""
    namespace, slash, host = text.rpartition("/")  # an Istio Gateway's hosts may name a namespace
    return substitute(namespace, slug) + slash + substitute(host, lambda token: _label(token, host)).lower()


def _path(text: str, _place: Place) -> str:
    """``/`` for a placeholder alone, otherwise each token becomes a word: ``/api/<version>`` is ``/api/version``."""
    return "/" if any(token.end - token.start == len(text) for token in tokens(text)) else substitute(text, slug)


# Parts of real paths that look like placeholders: OData's ``/$metadata``, OpenAPI's ``/users/{id}``.
_LITERAL: Final = re.compile(r"\$[a-z]\w*|(?<![{$#])\{[\w .-]+\}(?!\})")


def _label(token: Token, host: str) -> str:
    dotted = ".".join(filter(None, (re.sub(r"[^a-z0-9-]+", "-", part).strip("-") for part in _words(token).split("."))))
    name = dotted or "placeholder"
    ends = token.end == len(host.rstrip("."))
    return name if not ends or "." in name else f"{name}.example"


def _words(token: Token) -> str:
    """A host in angle brackets keeps its dots (``<your-domain.com>``); dots in ``${var.domain}`` are Terraform's."""
    words = (token.default or token.name).lower()
    return (
        words if re.search(r"\.[a-z]{2,}$", words) and not words.startswith((".", "var.", "values.")) else slug(token)
    )


def _arn(service: str, resource: re.Pattern[str], made: Callable[[str], str]) -> Callable[[str, Place], str]:
    """Valid parts of the ARN are kept."""

    def stand_in(text: str, place: Place) -> str:
        written = parse_arn(text) or Arn("", "", "", "", "")
        region = written.region if written.region in REGIONS else place.region
        account = written.account if is_account(written.account) else place.account
        what = written.resource if resource.fullmatch(written.resource) and not masked(written.resource) else ""
        # IAM ARNs have no region.
        return str(Arn(partition_of(region), service, region if service != "iam" else "", account, what or made(text)))

    return stand_in


# --- validity ----------------------------------------------------------------------------------------------------


def _or_none(sort: Sort) -> Sort:
    """An annotation in which ``none`` removes the setting."""
    return replace(sort, proper=lambda text: text == "none" or sort.proper(text))


def _without_tokens(text: str) -> bool:
    return not tokens(text)


def _shaped(pattern: str) -> Callable[[str], bool]:
    shape = re.compile(pattern)
    return lambda text: shape.fullmatch(text) is not None and not masked(text)


def _is_arn(service: str, resource: re.Pattern[str]) -> Callable[[str], bool]:
    def proper(text: str) -> bool:
        written = parse_arn(text)
        return (
            written is not None
            and is_partition(written.partition)
            and written.service == service
            and (written.region in REGIONS or service == "iam")
            and is_account(written.account)
            and resource.fullmatch(written.resource) is not None
            and not masked(written.resource)
        )

    return proper


def _arn_of(noun: str, production: str, service: str, resource: str, made: Callable[[str], str]) -> Sort:
    shape = re.compile(resource)
    return Sort(noun, production, _is_arn(service, shape), _arn(service, shape, made))


def _uuid(text: str) -> str:
    return str(uuid5(NAMESPACE_URL, text.strip()))


def _hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


_HEX_ID: Final = re.compile(r"(subnet|sg|pl|eipalloc)-[0-9a-f]{8,17}")


# --- the sorts ---------------------------------------------------------------------------------------------------

CERTIFICATE_ARN: Final = _arn_of(
    "the ARN of an ACM certificate",
    "ELBv2 refuses it, the HTTPS listener is not created, and the Ingress gets no address",
    "acm",
    r"certificate/[\w-]+",
    lambda text: f"certificate/{_uuid(text)}",
)
AUTHORITY_ARN: Final = _arn_of(
    "the ARN of a private CA",
    "ACM refuses to issue the certificate",
    "acm-pca",
    r"certificate-authority/[\w-]+",
    lambda text: f"certificate-authority/{_uuid(text)}",
)
WEB_ACL_ARN: Final = _or_none(
    _arn_of(
        "the ARN of a regional web ACL",
        "WAFv2 refuses to associate it with the load balancer",
        "wafv2",
        r"regional/webacl/[\w-]+/[\w-]+",
        lambda text: f"regional/webacl/placeholder-{_hash(text)[:8]}/{_uuid(text)}",
    )
)
USER_POOL_ARN: Final = _arn_of(
    "the ARN of a Cognito user pool",
    "ELBv2 refuses the rule that logs users in",
    "cognito-idp",
    r"userpool/[\w-]+_[0-9A-Za-z]+",
    lambda text: f"userpool/placeholder_{_hash(text)[:9]}",
)
TARGET_GROUP_ARN: Final = _arn_of(
    "the ARN of a target group",
    "ELBv2 answers TargetGroupNotFound",
    "elasticloadbalancing",
    r"targetgroup/[\w-]+/[0-9a-f]+",
    lambda text: f"targetgroup/placeholder/{_hash(text)}",
)
ROLE_ARN: Final = _arn_of(
    "the ARN of an IAM role",
    "STS refuses the role's credentials",
    "iam",
    r"role/[\w+=,.@/-]+",
    lambda text: f"role/placeholder-{_hash(text)[:8]}",
)
REGION: Final = Sort(
    "an AWS region",
    "AWS has no endpoint there, and every call fails",
    lambda text: text in REGIONS,
    lambda _, place: place.region,
)
ACCOUNT: Final = Sort("an AWS account id", "AWS has no such account", is_account, lambda _, place: place.account)
ZONE_ID: Final = Sort(
    "the id of a hosted zone",
    "Route 53 answers NoSuchHostedZone, and no certificate is issued",
    _shaped(r"(/?hostedzone/)?[A-Z0-9]{1,32}"),
    _left_out,  # cert-manager then finds the zone by its name
)
SUBNET: Final = Sort(
    "the id or Name tag of a subnet",
    "EC2 has no such subnet, and the load balancer is not built",
    lambda text: _without_tokens(text) and (not text.startswith("subnet-") or _HEX_ID.fullmatch(text) is not None),
    _id("subnet-"),
)
SECURITY_GROUP: Final = Sort(
    "the id or Name tag of a security group",
    "EC2 has no such security group, and the load balancer is not built",
    lambda text: _without_tokens(text) and (not text.startswith("sg-") or _HEX_ID.fullmatch(text) is not None),
    _id("sg-"),
)
PREFIX_LIST: Final = Sort(
    "the id of a prefix list",
    "EC2 has no such prefix list, and the load balancer is not built",
    lambda text: _HEX_ID.fullmatch(text) is not None,
    _id("pl-"),
)
ELASTIC_IP: Final = Sort(
    "the allocation id of an Elastic IP",
    "EC2 has no such address, and the load balancer is not built",
    lambda text: _HEX_ID.fullmatch(text) is not None,
    _id("eipalloc-"),
)
CIDR: Final = Sort("a CIDR block", "the load balancer is not built", _without_tokens, _always("0.0.0.0/0"))
BUCKET: Final = Sort(
    "the name of an S3 bucket", "ELBv2 refuses it, and the load balancer is not built", _without_tokens, _slugged
)
HOST: Final = Sort("a host name", "the API server refuses the object", _without_tokens, _host)
REDIRECT_HOST: Final = Sort(
    "a host name",
    "ELBv2 refuses the redirect",
    lambda text: _without_tokens(text.replace("#{host}", "")),  # the host of the request
    _host,
)
NAME: Final = Sort("a name", "the API server refuses the object", _without_tokens, _slugged)
ISSUER: Final = Sort(
    "the name of an issuer",
    "cert-manager finds no such issuer, and no certificate is issued",
    _without_tokens,
    _slugged,
)
CREDENTIAL: Final = Sort(
    "the name of a Secret", "the gateway finds no such Secret, and TLS handshakes fail", _without_tokens, _slugged
)
TRUST_STORE: Final = Sort(
    "the name or ARN of a trust store",
    "ELBv2 has no such trust store, and the load balancer is not built",
    _without_tokens,
    _slugged,
)
_RESERVED: Final = ("@example.com", "@example.net", "@example.org")  # Let's Encrypt refuses contacts there
EMAIL: Final = Sort(
    "an e-mail address that a CA accepts",
    "the CA refuses to register the account, and the issuer is never ready",
    lambda text: not text or (_without_tokens(text) and "@" in text and not text.endswith(_RESERVED)),
    _left_out,
)
ACCESS_KEY: Final = Sort(
    "an AWS access key id",
    "AWS answers InvalidClientTokenId",
    lambda text: not text or (_without_tokens(text) and not masked(text)),
    _always("AKIAIOSFODNN7EXAMPLE"),
)
CLIENT_ID: Final = Sort(
    "the id of a user pool's client", "ELBv2 refuses the rule that logs users in", _without_tokens, _slugged
)
LOGIN_DOMAIN: Final = Sort(
    "the domain of a user pool", "ELBv2 refuses the rule that logs users in", _without_tokens, _slugged
)
INGRESS_CLASS: Final = Sort(
    "the name of an IngressClass",
    "no controller serves the Ingress, and no load balancer is created",
    lambda text: bool(text) and _without_tokens(text),
    _always("alb"),
)
DURATION: Final = Sort("a duration", "the API server refuses the object", _without_tokens, _left_out)
ALB_NAME: Final = Sort(
    "a name of letters, digits and hyphens",
    "the AWS Load Balancer Controller refuses the Ingress",
    _without_tokens,
    _slugged,
)
PATH: Final = Sort("a path", "no request has it", lambda text: _without_tokens(_LITERAL.sub("", text)), _path)
ACME_SERVER: Final = Sort(
    "the URL of an ACME server",
    "cert-manager cannot reach it, and the issuer is never ready",
    lambda text: not text or _without_tokens(text),
    _always("https://acme-v02.api.letsencrypt.org/directory"),
)
CHECKED_PATH: Final = Sort(
    "a path", "targets answer it with 404 and count as unhealthy, or ELBv2 refuses it", _without_tokens, _left_out
)
SETTING: Final = Sort(
    "a value",
    "the AWS Load Balancer Controller or ELBv2 refuses it, and the load balancer is not built",
    _without_tokens,
    _left_out,
)
