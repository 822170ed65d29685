"""The module that uses boto3: what it shares among sessions."""

from __future__ import annotations

from typing import Any

from lockgate.controllers import aws


def test_a_service_model_is_read_once_and_each_reader_may_extend_its_own() -> None:
    read: list[str] = []

    def from_disk(path: str) -> Any:
        read.append(path)
        return {"version": "2.0", "shapes": {"A": {"type": "string"}}} if path == "model" else None

    load = aws._once(from_disk)
    first, second = load("model"), load("model")
    first["shapes"]["B"] = {"type": "list"}
    first["metadata"] = {}
    assert second == {"version": "2.0", "shapes": {"A": {"type": "string"}}}
    assert first["shapes"]["A"] is second["shapes"]["A"]
    assert load("absent") is None
    assert read == ["model", "absent"]


def test_moto_and_every_session_read_the_same_files() -> None:
    aws.preload()
    aws.preload()
    from botocore.loaders import Loader

    one, other = (Loader().load_service_model("sts", "service-2") for _ in range(2))
    assert one is not other
    assert one["shapes"]["GetCallerIdentityRequest"] is other["shapes"]["GetCallerIdentityRequest"]
