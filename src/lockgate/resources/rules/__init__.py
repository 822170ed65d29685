"""What is refused beyond the shape: one file for each component that has a say, as the component says it.

A rule takes a parsed object and yields faults. It runs on objects whose shape is right, so it can trust the types.
`admission` holds the table of which rule is whose.
"""
