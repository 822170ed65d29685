"""The AWS load balancer as a value: its model, its ELBv2 codec, and the decisions it makes about requests.

>>> balancer = elbv2.load_balancers(answers)[0]
>>> decision = routing.decide(balancer, Request(host="shop.example.com"), trace_id=trace_id)
>>> decision.priority
10
>>> decision.outcome
Forwarded(...)
"""
