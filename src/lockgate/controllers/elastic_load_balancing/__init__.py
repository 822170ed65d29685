"""Elastic Load Balancing: reads ELBv2's state, looks after its targets' health, and says what Envoy should serve."""

from lockgate.controllers.elastic_load_balancing.authentication import Authentication
from lockgate.controllers.elastic_load_balancing.controller import ElasticLoadBalancing
from lockgate.controllers.elastic_load_balancing.platform import Platform, Resolve

__all__ = ["Authentication", "ElasticLoadBalancing", "Platform", "Resolve"]
