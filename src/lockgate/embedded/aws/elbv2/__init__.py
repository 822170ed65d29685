"""ELBv2: application load balancers and what hangs on them, held as AWS holds them and refused as AWS refuses.

Network and gateway load balancers are refused by name: nothing here would carry their bytes.
"""
