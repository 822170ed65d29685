"""The user's files on the way to manifests: found, read within limits, rendered, and watched for changes."""
