"""LG6xxx: outdated, removed and discouraged ways to set up an edge."""
