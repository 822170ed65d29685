"""The machine as a Kubernetes node: kubelet, kube-proxy and the endpoint controllers."""

from lockgate.controllers.nodes.controller import Nodes
from lockgate.edge.port_table import PortTable

__all__ = ["Nodes", "PortTable"]
