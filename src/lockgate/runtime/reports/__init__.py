"""What a running edge says of itself: pure readers of its `State`, tested without processes."""
