"""Validation beyond the schema: one file per component, with the component's messages.

A rule takes a parsed object and yields faults. It runs only on objects with a valid shape, so it can rely on the types.
The table in `admission` assigns rules to kinds.
"""
