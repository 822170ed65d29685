"""What the AWS Load Balancer Controller decides for a Service: its Network Load Balancer, as a `Stack`."""
