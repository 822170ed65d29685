"""Traces a request through an edge, hop by hop, with the manifest line that decides each hop.

>>> trace(edge, Request.of("https://shop.example.com/cart")).ending
Ending(status=None, by='backend', ...)
"""
