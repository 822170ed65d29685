"""Manifests as typed values that know their file and line, and the registry of fault codes.

>>> reading = reader.read(text, "shop.yaml")
>>> [str(document.key) for document in reading.documents], reading.faults
(['Ingress shop/web'], ())
"""
