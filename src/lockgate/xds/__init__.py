"""Load balancers and gateways as Envoy's protobufs. Nothing above this room but `dataplane` knows Envoy's types."""
