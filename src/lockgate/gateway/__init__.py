"""Istio's ingress gateway as a value: built from Istio resources, and the decisions it makes about requests.

>>> built = build(sources, workload, mesh)
>>> routing.decide(built.gateway, Request(8443, "shop.example.com", "/cart", tls=True, sni="shop.example.com")).outcome
Forwarded(...)
"""
