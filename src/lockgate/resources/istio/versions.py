"""What Istio's kinds share. v1, v1beta1 and v1alpha3 of its networking group are one schema and are served alike."""

NETWORKING_VERSIONS = ("v1", "v1beta1", "v1alpha3")
CATEGORIES = ("istio-io", "networking-istio-io")
