"""Zones, records, answers: what an authoritative server says, as a pure function of Route 53's zones."""
