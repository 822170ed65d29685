"""Lockgate: an AWS Application Load Balancer in front of an Istio ingress gateway, on one machine."""

__version__ = "0.1.0"
