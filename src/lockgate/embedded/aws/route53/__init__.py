"""Route 53: hosted zones, and changes that are checked against the zone's records."""
