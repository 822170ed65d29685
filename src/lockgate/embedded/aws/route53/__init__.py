"""Route 53: hosted zones, and changes that are held against what the zone has."""
