"""Matchers of texts, and of values that filters have stored."""

from __future__ import annotations

from typing import assert_never

from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.matcher.v3.value_pb2 import ListMatcher, OrMatcher, ValueMatcher

from lockgate.gateway import model
from lockgate.gateway.policies import model as policies
from lockgate.xds.protobuf import Message


def text_matcher(match: model.TextMatch) -> Message:
    match match:
        case model.Exact(value, ignore_case):
            return StringMatcher(exact=value, ignore_case=ignore_case)
        case model.Prefix(value, ignore_case):
            return StringMatcher(prefix=value, ignore_case=ignore_case)
        case model.Suffix(value, ignore_case):
            return StringMatcher(suffix=value, ignore_case=ignore_case)
        case model.Regex(pattern):
            return StringMatcher(safe_regex=RegexMatcher(regex=pattern))
        case _:
            assert_never(match)


def metadata_matcher(predicate: policies.Metadata, *, invert: bool = False) -> Message:
    path = [MetadataMatcher.PathSegment(key=key) for key in predicate.path]
    one = ValueMatcher(string_match=text_matcher(predicate.match))
    in_list = ValueMatcher(list_match=ListMatcher(one_of=one))
    if predicate.only_lists:
        value = in_list
    elif predicate.lists:
        value = ValueMatcher(or_match=OrMatcher(value_matchers=[one, in_list]))
    else:
        value = one
    return MetadataMatcher(filter=predicate.filter, path=path, value=value, invert=invert)
