"""EKS's Kubernetes API on this machine: a store for controllers in the same process, and an HTTP API for kubectl."""
