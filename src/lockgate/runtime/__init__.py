"""A running edge: starts embedded services and controllers, watches files, observes state and reports it."""
