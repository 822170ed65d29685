"""Imports moto in a quarter of the time and memory of `import moto.server`: what few edges need is read later.

moto reads large files while it is imported, and creates objects from them. The functions here replace parts of it
during the import or right after it, so they name the time and memory that each saves.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

_INSTANCE_TYPES = "ec2/resources/instance_types.json"

_loading = threading.Lock()
_loaded = threading.Event()


def load() -> None:
    """Imports moto for EC2 and WAF; other services are imported when one of their requests arrives."""
    with _loading:
        if _loaded.is_set():
            return
        with _quick_regions(), _resources_later(), _without_data():
            import moto.ec2.responses
            import moto.wafv2.responses  # noqa: F401
        _share_loader()
        _instance_types_later()
        _images_later()
        _forget_instances()
        _loaded.set()


def _share_loader() -> None:
    """moto makes a loader for each service's model, and each lists the 400 folders of botocore's models (20 ms)."""
    import moto.core.utils

    utilities: Any = moto.core.utils
    loader = utilities.create_loader()
    utilities.create_loader = lambda: loader


def _instance_types_later() -> None:
    """moto reads the properties of all instance types (60 ms, 20 MB). Here they are read when first asked for."""
    from moto.ec2.models import instance_types as types
    from moto.utilities.utils import load_resource

    @cache
    def known() -> list[types.InstanceType]:
        types.INSTANCE_TYPES.update(load_resource(_INSTANCE_TYPES))
        types.INSTANCE_FAMILIES.extend({each.partition(".")[0] for each in types.INSTANCE_TYPES})
        return [types.InstanceType(name) for name in types.INSTANCE_TYPES]

    backend: Any = types.InstanceTypeBackend
    backend.instance_types = property(lambda _: known())


def _images_later() -> None:
    """moto creates all known machine images, and a snapshot of each, with each region (40 ms, 4 MB). Here they are
    created when first asked for."""
    from moto.ec2.models.amis import AmiBackend

    images: Any = AmiBackend
    create = images._load_amis

    def amis(backend: Any) -> Any:
        if not backend.__dict__.get("_has_images"):
            backend._has_images = True  # first, because `create` adds to `amis`
            create(backend)
        return backend._images

    def set_amis(backend: Any, empty: Any) -> None:
        backend._images = empty

    images._load_amis = lambda backend: None
    images.amis = property(amis, set_amis)


def _forget_instances() -> None:
    """moto keeps every object, even deleted ones, for its dashboard, which is not used here: 8 MB per account."""
    from moto.core.model_instances import model_data

    for models in model_data.values():
        for model in models.values():
            model.instances_tracked = deque(maxlen=0)  # type: ignore[attr-defined]


@contextmanager
def _quick_regions() -> Iterator[None]:
    """While imported, moto.ec2 asks three new boto3 sessions for EC2's regions, and each loads EC2's whole service
    model (0.6 s in total). Botocore's endpoints file alone has the list."""
    import botocore.loaders
    import botocore.regions
    import moto.core.base_backend

    resolver = botocore.regions.EndpointResolver(botocore.loaders.Loader().load_data("endpoints"))

    class Regions:
        def get_available_partitions(self) -> list[str]:
            return list(resolver.get_available_partitions())

        def get_available_regions(self, service: str, partition_name: str = "aws") -> list[str]:
            return list(resolver.get_available_endpoints(service, partition_name))

    boto3: Any = sys.modules["boto3"]  # moto has imported it
    backends: Any = moto.core.base_backend
    real = boto3.Session
    boto3.Session = backends.Session = Regions
    try:
        yield
    finally:
        boto3.Session = real


@contextmanager
def _resources_later() -> Iterator[None]:
    """Defers what moto.ec2 loads and few edges need: the instance type offerings of all zones (40 MiB), and the
    instance types themselves (see `_instance_types_later`)."""
    import moto.utilities.utils

    utilities: Any = moto.utilities.utils
    real = utilities.load_resource

    def load_resource(path: str) -> Any:
        if path == _INSTANCE_TYPES:
            return {}
        return _Later(lambda: real(path)) if "instance_type_offerings" in path else real(path)

    utilities.load_resource = load_resource
    try:
        yield
    finally:
        utilities.load_resource = real
        _Later.importing = False


@contextmanager
def _without_data() -> Iterator[None]:
    """Empty modules in place of two that only `mock_aws` and IAM read, which are not used here: the patterns of all
    services' URLs, and all managed policies (20 ms, 5 MB)."""
    data = {"moto.backend_index": "backend_url_patterns", "moto.iam.aws_managed_policies": "aws_managed_policies_data"}
    absent = [name for name in data if name not in sys.modules]
    for name in absent:
        module: Any = sys.modules.setdefault(name, ModuleType(name))
        setattr(module, data[name], ())
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


class _Later(list[dict[str, Any]]):
    """A list of objects that is read at its first use. During the import, moto writes fields into each object. A
    placeholder receives these, and they are copied into the objects later."""

    importing = True

    def __init__(self, read: Callable[[], list[dict[str, Any]]]) -> None:
        super().__init__()
        self._read: Callable[[], list[dict[str, Any]]] | None = read
        self._each: dict[str, Any] = {}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if _Later.importing:
            return iter((self._each,))
        return iter(self._filled())

    def __len__(self) -> int:
        return len(self._filled())

    def _filled(self) -> tuple[dict[str, Any], ...]:
        if self._read is not None:
            read, self._read = self._read, None
            self.extend(item | self._each for item in read())
        return tuple(super().__iter__())
