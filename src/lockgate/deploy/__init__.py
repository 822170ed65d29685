"""Brings an edge to a real account and cluster: `plan`, `apply`, `verify`, `destroy`.

Theory of operation. `observing` reads the cluster and the account into one value, `Seen`. `planning` is pure: it builds
the `Edge` that is there and the `Edge` that the manifests lead to, with the same builders as `up`, compares them, and
returns the steps from the one to the other as values. `applying` performs every step whose predecessors are done, then
reads again and plans again, until nothing is left to do. So a run that was killed goes on where it was, and there is
no state file: what is there is the state.
"""
