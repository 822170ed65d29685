"""Elastic Load Balancing: reads ELBv2's state, checks the health of targets, and publishes Envoy's configuration."""

from lockgate.controllers.elastic_load_balancing.authentication import Authentication
from lockgate.controllers.elastic_load_balancing.controller import ElasticLoadBalancing
from lockgate.controllers.elastic_load_balancing.platform import Platform, Resolve

__all__ = ["Authentication", "ElasticLoadBalancing", "Platform", "Resolve"]
