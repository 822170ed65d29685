"""Gets the WebAssembly modules that WasmPlugins name, as Istio's agent does: Envoy loads them from files.

Source: istio/istio `pkg/wasm/cache.go`, `httpfetcher.go`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote

from lockgate.controllers.istiod.fetching import Failed, Followed, Network
from lockgate.gateway.wasm import FILE, Loaded, ModulePlace

MOST_BYTES: Final = 64 << 20
_TIMEOUT: Final = 30.0  # s
_MAGIC: Final = b"\0asm"

Modules: TypeAlias = Followed[ModulePlace, Loaded]


def modules(changed: Callable[[], None], network: Network, folder: Path) -> Modules:
    """Fetched modules are kept in `folder`."""

    async def fetch(place: ModulePlace) -> Loaded:
        if place.url.startswith(FILE):
            path = Path(unquote(place.url.removeprefix(FILE)))
            _check(await asyncio.to_thread(_read, path), place)
            return Loaded(str(path))
        module = await network.get(place.url, timeout=_TIMEOUT, most=MOST_BYTES)
        return Loaded(str(await asyncio.to_thread(_kept, folder, module, _check(module, place))))

    return Followed(changed, fetch, lambda reason, earlier: Loaded(earlier.path if earlier else "", reason))


def _read(path: Path) -> bytes:
    """Raises `Failed`."""
    try:
        if not path.is_file():
            raise Failed(f"there is no file {path} on this machine")
        if path.stat().st_size > MOST_BYTES:
            raise Failed(f"the file has more than {MOST_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from error


def _check(module: bytes, place: ModulePlace) -> str:
    """The checksum. Raises `Failed`."""
    found = hashlib.sha256(module).hexdigest()
    if place.sha256 and found != place.sha256:
        raise Failed(f"its checksum is {found}, not {place.sha256}")
    if not module.startswith(_MAGIC):
        raise Failed("it is not a WebAssembly module")
    return found


def _kept(folder: Path, module: bytes, checksum: str) -> Path:
    path = folder / f"{checksum}.wasm"
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(module)
        partial.replace(path)
    return path
