"""The same edge in a real account and cluster."""
