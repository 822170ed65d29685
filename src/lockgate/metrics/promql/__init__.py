"""PromQL over a `Store`: the part that Kiali and Istio's dashboards use. promql-parser parses; what is not evaluated is
an error that names it.

Every expression is evaluated for all steps of a query at once. A vector is a list of rows: labels, and a value for each
step, None where there is none. An instant query has one step. Semantics are those of Prometheus 2: ranges include both
ends, and a series' newest sample counts for five minutes.

Source: Prometheus' documentation, "Querying basics", "Operators", "Functions".
"""

from __future__ import annotations

from lockgate.metrics.promql.evaluation import evaluate
from lockgate.metrics.promql.model import MAX_POINTS, QueryError, Result, Steps

__all__ = ["MAX_POINTS", "QueryError", "Result", "Steps", "evaluate"]
