"""A plan in words: for people, for pull requests, and for programs."""
