"""AWS WAF for load balancers: a web ACL as a value, and its evaluation of a request.

>>> acl = reader.web_acl(client.get_web_acl(...)["WebACL"], references)
>>> evaluate.evaluate(acl, inspected).blocked
Response(status=403)
"""
