"""The Kubernetes API on a loopback port over TLS, and real kubectls against it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockgate.embedded.kubernetes.api import KubernetesApi
from lockgate.embedded.kubernetes.kubeconfig import kubeconfig
from lockgate.embedded.kubernetes.store import Store
from lockgate.embedded.kubernetes.streaming.streams import PodAccess

TOKEN = "sesame"


@dataclass(frozen=True)
class Cluster:
    store: Store
    api: KubernetesApi
    ca: Path
    home: Path

    async def kubectl(
        self, *arguments: str, stdin: str = "", program: str = "", timeout: float = 30
    ) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        process = await asyncio.create_subprocess_exec(
            program or kubectls()[0],
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.home,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": str(self.home / "config")},
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), timeout)
        return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def cluster(home: Path, pods: PodAccess | None = None) -> AsyncIterator[Cluster]:
    certificate = _certificate()
    chain, key = home / "chain.pem", home / "key.pem"
    chain.write_bytes(certificate[0])
    key.write_bytes(certificate[1])
    store = Store()
    api = KubernetesApi(store, token=TOKEN, pods=pods)
    await api.start(certificate=(chain, key))
    (home / "config").write_text(kubeconfig(api.url, certificate[0], TOKEN))
    controllers = asyncio.create_task(store.run())
    try:
        yield Cluster(store, api, chain, home)
    finally:
        controllers.cancel()
        await api.stop()


@cache
def kubectls() -> tuple[str, ...]:
    """Those of this machine: PyPI's beside the running Python, the one on PATH, an old one of the Cloud SDK."""
    beside = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    found = (beside, shutil.which("kubectl"), shutil.which("kubectl.1.27", path="/usr/lib/google-cloud-sdk/bin"))
    return tuple(dict.fromkeys(each for each in found if each))


@cache
def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("policy.ops.svc")]),
            False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
