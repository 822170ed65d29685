"""A request through an edge, hop by hop: what would happen to it, and which line of the manifests decides."""
