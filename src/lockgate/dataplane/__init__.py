"""Envoy as a process: its configuration stream, supervisor, health checks and logs.

>>> ads = AdsServer(on_rejection)
>>> await ads.start(socket)
>>> ads.publish("alb", snapshot)
>>> await ads.settled("alb")
"""
