"""All annotations of the AWS Load Balancer Controller: a registry, parsers, and the reference page."""
