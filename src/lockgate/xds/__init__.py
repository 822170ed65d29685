"""Translates load balancers and gateways to Envoy's protobufs. Only this room and `dataplane` use Envoy's types.

>>> alb = loadbalancer.snapshot(balancers, sockets, certificates, endpoints)
>>> alb.names(ROUTE)
frozenset({'app/shop/50dc6c495c0c9188:443'})
"""
