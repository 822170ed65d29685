"""EKS' Kubernetes API on this machine: a store that controllers use in process, and its HTTP surface for kubectl."""
