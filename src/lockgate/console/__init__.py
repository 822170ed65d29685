"""A live page of the edge's traffic."""
