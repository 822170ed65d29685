"""Every annotation of the AWS Load Balancer Controller: one registry, its parsers, and its reference page."""
