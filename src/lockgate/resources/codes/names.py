"""LG4xxx: host names and DNS, across Ingress, Gateway, VirtualService, certificates and hosted zones."""
