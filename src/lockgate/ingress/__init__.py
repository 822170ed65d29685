"""From Ingresses to a load balancer, as the AWS Load Balancer Controller decides it: pure, one IngressGroup a call.

`group` finds who belongs together, `build` makes a group's `Stack`, `manifests` does both for files alone.
"""
