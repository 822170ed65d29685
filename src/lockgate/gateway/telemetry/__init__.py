"""What a gateway tells about its requests: access logs and traces, by Telemetries and the mesh.

`model` has the values, `build` makes them, and `formats` has Istio's own formats.
"""
