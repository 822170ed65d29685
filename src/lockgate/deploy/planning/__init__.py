"""What must be done so that an account and a cluster have an edge. No I/O, no clock: values in, values out."""
