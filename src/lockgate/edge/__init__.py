"""Places and actors put together: start, stop, watch files, status."""
