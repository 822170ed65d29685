"""The whole edge as one value, from manifests; what manifests take for granted is supplied."""
