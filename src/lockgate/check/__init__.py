"""What is wrong with an edge: the faults that its builders found, and those that only the whole edge shows.

    >>> manifests = files.load(["shop.yaml"])
    >>> edge = from_manifests(manifests, Options(paths=()))
    >>> for finding in check(edge, manifests.positions()):
    ...     print(finding.diagnostic)
    shop.yaml:8:7: error: … answers every request with 502 — set hosts: ["*"] here; … [LG5001]

An analyzer is a function from an `Edge` to `Fault`s, one a file in `analyzers`. `findings` runs them all. A fault that
one object, one Ingress group or one gateway shows by itself belongs to its reader or builder; a fault that needs
several of them, or an opinion, belongs here.
"""
