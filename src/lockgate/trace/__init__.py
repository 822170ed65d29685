"""What would happen to a request, hop by hop."""
