"""Certificates as values: keys, requests and chains; when to issue, renew and back off.

>>> issuance.decide(seen)  # everything that the API has about one Certificate
MakeKey(...)
"""
