"""What a gateway decides before it routes: AuthorizationPolicies and RequestAuthentications.

`attach` finds the policies of a workload, `build` turns them into the filters of its chains, `evaluate` and
`authenticate` predict what these filters do with a request.
"""
