"""ELBv2: application and network load balancers and their parts, with AWS's state, checks and errors.

Gateway load balancers are refused.
"""
