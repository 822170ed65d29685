"""Zones, records and the answers they give."""
