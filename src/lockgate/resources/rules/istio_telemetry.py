"""Telemetry as Istio's CRD and webhook read it: `pkg/config/validation/validation.go`, ValidateTelemetry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.resources import field_errors, istio
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.istio.telemetry import TelemetryProvider
from lockgate.resources.rules import istio_names as names
from lockgate.resources.rules import istio_selectors
from lockgate.resources.rules.istio_names import conflict, problem, required


def refusals(telemetry: istio.Telemetry) -> Iterator[FieldError]:
    spec = telemetry.spec
    for index, each in enumerate(spec.tracing):
        yield from _tracing(("spec", "tracing", index), each)
    for index, log in enumerate(spec.access_logging):
        yield from _providers(("spec", "accessLogging", index), log.providers)
        if log.filter is not None and (fault := _syntax_error(log.filter.expression)):
            where: Path = ("spec", "accessLogging", index, "filter", "expression")
            yield problem(where, f"must be a valid CEL expression, {fault}")
    for index, metrics in enumerate(spec.metrics):
        yield from _providers(("spec", "metrics", index), metrics.providers)
        yield from names.duration(("spec", "metrics", index, "reportingInterval"), metrics.reporting_interval)
        for place, override in enumerate(metrics.overrides):
            if override.match and override.match.custom_metric == "":
                at = ("spec", "metrics", index, "overrides", place, "match", "customMetric")
                yield required(at, "customMetric may not be empty")
            for name, tag in override.tag_overrides.items():
                yield from _tag(("spec", "metrics", index, "overrides", place, "tagOverrides", name), tag)
    yield from istio_selectors.refusals(spec.selector, spec.target_ref, spec.target_refs)


def warnings(telemetry: istio.Telemetry) -> Iterator[FieldError]:
    spec = telemetry.spec
    if len(spec.tracing) > 1:
        yield problem(("spec", "tracing"), "multiple tracing is not currently supported")
    for index, each in enumerate(spec.tracing):
        if len(each.providers) > 1:
            yield problem(("spec", "tracing", index, "providers"), "multiple providers is not currently supported")
    yield from istio_selectors.warnings(spec.selector)


def _providers(path: Path, providers: tuple[TelemetryProvider, ...]) -> Iterator[FieldError]:
    for index, each in enumerate(providers):
        if not each.name:
            yield required((*path, "providers", index, "name"), "providers.name may not be empty")


def _tracing(path: Path, tracing: istio.Tracing) -> Iterator[FieldError]:
    yield from _providers(path, tracing.providers)
    sampled = tracing.random_sampling_percentage
    if sampled is not None and not 0 <= sampled <= 100:
        at = (*path, "randomSamplingPercentage")
        which = "greater than or equal to 0" if sampled < 0 else "less than or equal to 100"
        yield field_errors.invalid(at, int(sampled) if sampled.is_integer() else sampled, f"should be {which}")
    for name, tag in tracing.custom_tags.items():
        at = (*path, "customTags", name)
        if not name:
            yield required(at, "tag name may not be empty")
        if tag.literal is not None and not tag.literal.value:
            yield required((*at, "literal", "value"), "literal tag value may not be empty")
        for field, source in (("environment", tag.environment), ("header", tag.header)):
            if source is not None and not source.name:
                yield required((*at, field, "name"), f"{field} tag name may not be empty")


def _syntax_error(expression: str) -> str:
    """Istio parses the expression alone: Envoy knows what it may refer to."""
    from cel_expr_python import cel

    try:
        cel.NewEnv().compile(expression)
    except RuntimeError as error:
        lines = str(error).removeprefix("INVALID_ARGUMENT: ").splitlines()
        return next((line for line in lines if any(each in line for each in _OF_PARSERS)), "")
    return ""


# Of the grammar, and of macros, which parsers expand.
_OF_PARSERS: Final = (": Syntax error: ", "() argument must be ", "() variable name must be ")


def _tag(path: Path, tag: istio.TagOverride) -> Iterator[FieldError]:
    """The rule is the CRD's."""
    if tag.operation == "REMOVE" and tag.value:
        yield conflict((*path, "value"), "tagOverrides.value must not be set when operation is REMOVE")
    elif tag.operation != "REMOVE" and not tag.value:
        yield required((*path, "value"), "tagOverrides.value must be set when operation is UPSERT")
