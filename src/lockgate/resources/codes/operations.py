"""LG8xxx: operations and cost: quotas, load balancers that could be one."""
