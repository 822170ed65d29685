"""An account's quotas: AWS's defaults, and which of them AWS increases on request.

Source: ALB user guide, "Quotas for your Application Load Balancers", and the same page for NLBs. The names are from
DescribeAccountLimits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LOAD_BALANCERS: Final = "application-load-balancers"
NETWORK_LOAD_BALANCERS: Final = "network-load-balancers"
CERTIFICATES: Final = "certificates-per-application-load-balancer"
LISTENERS: Final = "listeners-per-application-load-balancer"
NETWORK_LISTENERS: Final = "listeners-per-network-load-balancer"
RULES: Final = "rules-per-application-load-balancer"
TARGET_GROUPS: Final = "target-groups"
TARGET_GROUPS_OF_ACTION: Final = "target-groups-per-action-on-application-load-balancer"
TARGET_GROUPS_OF_LOAD_BALANCER: Final = "target-groups-per-application-load-balancer"
TARGETS: Final = "targets-per-target-group"
TRUST_STORES: Final = "trust-stores"
VERIFYING_LISTENERS: Final = "mutual-authentication-verify-listeners-per-application-load-balancer"

ADJUSTABLE: Final[Mapping[str, int]] = {
    LOAD_BALANCERS: 50,
    NETWORK_LOAD_BALANCERS: 50,
    CERTIFICATES: 25,
    LISTENERS: 50,
    NETWORK_LISTENERS: 50,
    RULES: 100,
    TARGET_GROUPS: 3000,
    TARGET_GROUPS_OF_ACTION: 5,
    "targets-per-application-load-balancer": 1000,
    "target-id-registrations-per-application-load-balancer": 1000,
    TARGETS: 1000,
    TRUST_STORES: 20,
}
DEFAULTS: Final[Mapping[str, int]] = {
    **ADJUSTABLE,
    "condition-values-per-alb-rule": 5,
    "condition-wildcards-per-alb-rule": 5,
    TARGET_GROUPS_OF_LOAD_BALANCER: 100,
    VERIFYING_LISTENERS: 2,
}
