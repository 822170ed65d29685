"""kube-controller-manager: rolls Deployments, StatefulSets, DaemonSets and Jobs out to Pods."""

from lockgate.controllers.kube_controller_manager.controller import KubeControllerManager

__all__ = ["KubeControllerManager"]
