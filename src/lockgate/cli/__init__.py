"""The command line: commands parse their arguments, call `runtime` or `trace`, and print the result."""

import time

# The first line of Lockgate that runs: `ready in N s` counts from here.
BEGAN = time.monotonic()
