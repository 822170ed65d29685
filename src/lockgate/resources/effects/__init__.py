"""What every kind and every field of a manifest leads to on this machine: one table, a file for each ecosystem.

>>> from lockgate.resources.effects.table import field_row
>>> field_row("", "Service", ("spec", "sessionAffinity")).effect
<Effect.ACCEPTED: 'accepted'>

The warnings of `up`, `status` and `show`, `lockgate explain KIND.field` and the pages under docs/reference/kinds come
from these rows. `tests/resources/test_effects.py` fails on a field of a model that no row classifies.
"""
