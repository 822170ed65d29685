"""The AWS Load Balancer Controller: load balancers for Ingresses, and their targets from endpoints."""

from lockgate.controllers.aws_load_balancer.controller import AwsLoadBalancerController

__all__ = ["AwsLoadBalancerController"]
