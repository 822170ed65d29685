"""A running edge: starts places and actors, watches files, observes state and reports it."""
