"""`lockgate console`: a page on loopback that shows a running edge live, or a recorded one.

`graph` makes the path of requests from the `Edge` value, `layout` and `picture` draw it. `requests` reads what Envoys
log of each request and finds its way through the graph, `figures` counts. `live` keeps all that current for a running
edge and sends it as messages; `recording` keeps the messages in a file, and `server` gives them to the page.
"""
