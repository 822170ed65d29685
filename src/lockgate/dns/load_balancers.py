"""The hosted zones that Route 53 keeps for load balancers, one a region.

Source: AWS General Reference, "Elastic Load Balancing endpoints and quotas", column "Route 53 Hosted Zone ID".
"""

from __future__ import annotations

from typing import Final

SUFFIX: Final = ".elb.amazonaws.com"

CANONICAL_HOSTED_ZONES: Final = {
    "af-south-1": "Z268VQBMOI5EKX",
    "ap-east-1": "Z3DQVH9N71FHZ0",
    "ap-northeast-1": "Z14GRHDCWA56QT",
    "ap-northeast-2": "ZWKZPGTI48KDX",
    "ap-northeast-3": "Z5LXEXXYW11ES",
    "ap-south-1": "ZP97RAFLXTNZK",
    "ap-southeast-1": "Z1LMS91P8CMLE5",
    "ap-southeast-2": "Z1GM3OXH4ZPM65",
    "ap-southeast-3": "Z08888821HLRG5A9ZRTER",
    "ca-central-1": "ZQSVJUPU6J1EY",
    "ca-west-1": "Z06473681N0SF6OS049SD",
    "eu-central-1": "Z215JYRZR1TBD5",
    "eu-central-2": "Z06391101F2ZOEP8P5EB3",
    "eu-north-1": "Z23TAZ6LKFMNIO",
    "eu-south-1": "Z3ULH7SSC9OV64",
    "eu-west-1": "Z32O12XQLNTSW2",
    "eu-west-2": "ZHURV8PSTC4K8",
    "eu-west-3": "Z3Q77PNBQS71R4",
    "il-central-1": "Z09170902867EHPV2DABU",
    "me-central-1": "Z08230872XQRWHG2XF6I",
    "me-south-1": "ZS929ML54UICD",
    "sa-east-1": "Z2P70J7HTTTPLU",
    "us-east-1": "Z35SXDOTRQ7X7K",
    "us-east-2": "Z3AADJGX6KTTL2",
    "us-gov-west-1": "Z33AYJ8TM3BH4J",
    "us-west-1": "Z368ELLRRE2KJ0",
    "us-west-2": "Z1H1FL5HABSF5",
}


def region_of(dns_name: str) -> str | None:
    """The region that a load balancer's DNS name tells; None for any other name."""
    name = dns_name.lower().rstrip(".")
    if not name.endswith(SUFFIX):
        return None
    return name.removesuffix(SUFFIX).rpartition(".")[2]


def canonical_hosted_zone(region: str) -> str:
    """A region that the table lacks gets us-east-1's: an id that Route 53 at least knows as a load balancer's."""
    return CANONICAL_HOSTED_ZONES.get(region, CANONICAL_HOSTED_ZONES["us-east-1"])
