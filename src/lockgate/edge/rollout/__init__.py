"""How workloads become Pods: what kube-controller-manager and kubelet decide, as values.

A Deployment leads to ReplicaSets, these and the other workloads lead to Pods, and Pods are ready at once, because no
container runs here: the echo or the user's program stands behind them.
"""
