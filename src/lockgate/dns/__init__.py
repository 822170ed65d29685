"""Zones, records and answers: an authoritative name server as a pure function of Route 53's zones.

>>> answer(zones, "www.example.com.", "A", addresses).answer
(Record(name='www.example.com.', ...),)
"""
