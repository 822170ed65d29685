"""A real request to a live edge, explained."""
