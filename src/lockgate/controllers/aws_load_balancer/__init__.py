"""The AWS Load Balancer Controller: Ingresses to application load balancers, and endpoints to their targets."""

from lockgate.controllers.aws_load_balancer.controller import AwsLoadBalancerController

__all__ = ["AwsLoadBalancerController"]
