"""The machine as a Kubernetes node: what kubelet, kube-proxy and the endpoint controllers do in a cluster."""

from lockgate.controllers.nodes.controller import Nodes
from lockgate.edge.port_table import PortTable

__all__ = ["Nodes", "PortTable"]
