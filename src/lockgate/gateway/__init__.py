"""Istio's ingress gateway as a value: built from Istio resources, and the decisions it makes."""
