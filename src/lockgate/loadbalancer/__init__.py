"""The AWS load balancer as a value: built from Ingresses, read from ELBv2, and the decisions it makes."""
