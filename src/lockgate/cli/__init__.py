"""Commands: parse, call, print."""

import time

# At the first line of ours that runs: `ready in N s` counts from here.
BEGAN = time.monotonic()
