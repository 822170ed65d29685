"""The services that a laptop lacks: AWS API, Kubernetes API, ACME CA, DNS server, proxy, echo backend."""
