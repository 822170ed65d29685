"""What an account may have, in an account of its own."""

from __future__ import annotations

from aws_lab import lab, refusal


def test_each_type_of_load_balancer_has_its_own_quota() -> None:
    with lab({"application-load-balancers": 1, "network-load-balancers": 1}) as here:
        client = here.client("elbv2")
        _, subnets, _ = here.run(here.api.default_vpc())
        for kind in ("application", "network"):
            made = {"Type": kind, "Subnets": list(subnets[:2])}
            client.create_load_balancer(Name=f"{kind}-1", **made)
            assert refusal(client.create_load_balancer, Name=f"{kind}-2", **made)[0] == "TooManyLoadBalancers"
