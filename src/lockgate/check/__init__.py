"""What is wrong across the systems: one analyzer a file, and the registry of codes."""
