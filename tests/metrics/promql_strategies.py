"""Random queries of the language that Lockgate evaluates."""

from __future__ import annotations

import json

from hypothesis import strategies as st

_LABELS = ("response_code", "destination_service_name", "response_flags", "reporter", "nope", "destination_workload")
_METRICS = ("istio_requests_total", "istio_request_duration_milliseconds_bucket", "istio_tcp_sent_bytes_total", "none")
_VALUES = ("200", "503", "web", ".*", ".+", "5..", "a|web", "", "-", "^2", "source")

_matchers = st.builds(
    lambda label, operator, value: f"{label}{operator}{json.dumps(value)}",
    st.sampled_from(_LABELS),
    st.sampled_from(("=", "!=", "=~", "!~")),
    st.sampled_from(_VALUES),
)
_selectors = st.builds(
    lambda metric, matchers: f"{metric}{{{','.join(matchers)}}}",
    st.sampled_from(_METRICS),
    st.lists(_matchers, max_size=2),
)
_offsets = st.sampled_from(("", "", "", " offset 30s", " offset -10s"))
_ranges = st.builds(
    lambda function, selector, length, offset: f"{function}({selector}[{length}]{offset})",
    st.sampled_from(("rate", "irate", "increase", "delta")),
    _selectors,
    st.sampled_from(("5s", "12s", "30s", "1m", "90s", "5m")),
    _offsets,
)
_GROUPS = ("", " by (response_code)", " without (response_code,le)", " by (destination_service_name,le)")
_NUMBERS = ("2", "0.5", "-1", "0", "(1/0)")
_WITH_NUMBERS = ("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "> bool", "== bool")
_SETS = ("and", "or", "unless", "and on (response_code)", "unless ignoring (response_code)", "or on (reporter)")
_PAIRS = ("+", "/", "-", ">", "== bool", "* on (response_code)")


def _more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    aggregations = st.sampled_from(("sum", "count", "min", "max", "avg", "stddev", "stdvar", "group"))
    numbers = st.sampled_from(_NUMBERS)
    return st.one_of(
        st.builds("{}{}({})".format, aggregations, st.sampled_from(_GROUPS), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(_WITH_NUMBERS), numbers),
        st.builds("({} {} {})".format, numbers, st.sampled_from(_WITH_NUMBERS), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(_SETS), inner),
        st.builds(
            "(sum by (response_code)({}) {} sum by (response_code)({}))".format, inner, st.sampled_from(_PAIRS), inner
        ),
        st.builds("histogram_quantile({}, {})".format, st.sampled_from(("0.5", "0.9", "2", "-1", "1")), inner),
        st.builds("-{}".format, _selectors),
        st.builds('label_join({}, "j", "-", "response_code", "nope")'.format, inner),
    )


queries = st.recursive(st.builds("{}{}".format, _selectors, _offsets) | _ranges, _more, max_leaves=4)
