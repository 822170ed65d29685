"""The AWS Load Balancer Controller's decisions: from Ingresses to a load balancer. Pure; one IngressGroup per call.

`group` determines the members of a group, `build` makes its `Stack`, and `manifests` does both from files alone.

>>> stack_from_manifests(resources).stacks
(Stack(group=GroupId(namespace='', name='edge'), ...),)
"""
