"""AWS WAF as load balancers use it: a web ACL as a value, and what it makes of a request."""
