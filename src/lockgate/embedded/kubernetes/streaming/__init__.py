"""Connections through the Kubernetes API that are more than a request and an answer: `kubectl port-forward`.

The client upgrades a request to SPDY/3.1, or opens a WebSocket that carries SPDY/3.1 in binary messages. Each forwarded
connection has two streams in it, one for data and one for the error.
"""
