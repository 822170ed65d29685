"""Kinds of users: their definitions, schemas, rules in CEL, and conversion between versions."""
