"""The whole edge as one value, built from manifests or from API state, with what manifests take for granted supplied.

>>> edge = from_manifests(load(["examples/edge"]), Options(paths=()))
>>> [balancer.name for balancer in edge.load_balancers]
['k8s-istiosys-edge-0aec3ecbb6']
"""
