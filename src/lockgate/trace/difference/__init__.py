"""Which requests two edges treat differently.

    >>> found = difference(old, new)
    >>> [(each.requests, each.witness.url) for each in found.classes]
    [('every host, path begins with /cart', 'https://shop.example/cart')]

Theory of operation. An edge decides by first matching: the first rule of a listener whose conditions hold, then the
first route of a virtual host. Each condition is about one part of a request: its path, its method, one header, one
query parameter, the client's address. `space` takes the conditions of both edges and splits each part into classes
whose values no condition tells apart, with an example of each. A set of requests is then a *cell*: for each part, which
classes are possible, as bits of an integer. `tree` starts with the cell of all requests and decides both edges'
rules for it; where a condition holds for some of the cell only, it splits the cell in two. In the end each cell takes
one rule and one route in either edge. If what these do (`outcomes`) is equal, no request of the cell is treated
differently: that is a proof. If not, an example of the cell is traced through both edges.

Hosts come first: `hosts` groups the names that DNS, certificates and the load balancer's rules do not tell apart, and
only hosts whose virtual hosts differ are looked at one by one. So two edges with 10,000 equal virtual hosts cost little
more than the comparison of their values.

A condition that is not a regular language (a web ACL, a header that the load balancer itself writes) is an
*assumption*: a part with the classes "holds" and "does not hold", and without examples. Equal assumptions in both edges
stay equal, so proofs remain proofs; where the edges differ only under an assumption, the result says so (`undecided`).
"""

from lockgate.trace.difference.compare import difference
from lockgate.trace.difference.model import Difference, RequestClass

__all__ = ["Difference", "RequestClass", "difference"]
