"""Trust stores: CA bundles with which HTTPS listeners verify clients, and revocation lists. Both are read from S3."""

from __future__ import annotations

from typing import Any

from lockgate.embedded.aws.elbv2 import tags
from lockgate.embedded.aws.elbv2.load_balancers import paged
from lockgate.embedded.aws.elbv2.state import Listener, Shape, State, TrustStore
from lockgate.embedded.aws.protocol import Refusal, Result
from lockgate.loadbalancer import quotas

CERTIFICATES = 25  # per trust store
REVOCATIONS = 30


def create(state: State, given: Shape) -> Result:
    name = given["Name"]
    if any(store.name == name for store in state.trust_stores.values()):
        raise Refusal("DuplicateTrustStoreName", f"A trust store with the same name '{name}' exists")
    if len(state.trust_stores) >= state.quotas[quotas.TRUST_STORES]:
        raise Refusal("TooManyTrustStores", "You've reached the limit on the number of trust stores")
    store = add(state, name, *_bundle(state, given), tags.read(given.get("Tags", ())))
    return {"TrustStores": [shown(store) | {"Status": "CREATING"}]}


def add(state: State, name: str, bundle: bytes, certificates: int, tags: dict[str, str], arn: str = "") -> TrustStore:
    """`bundle` is PEM of so many `certificates`; `arn` is the one that the store must have, empty where any will do."""
    arn = arn or state.arn(f"truststore/{name}/{state.new_id(f'truststore/{name}')}")
    store = state.trust_stores[arn] = TrustStore(arn, name, bundle, certificates, tags)
    return store


def describe(state: State, given: Shape) -> Result:
    arns, names = given.get("TrustStoreArns"), given.get("Names")
    if arns:
        found = [state.trust_store(arn) for arn in arns]
    elif names:
        found = [store for store in state.trust_stores.values() if store.name in names]
        if missing := set(names) - {store.name for store in found}:
            raise Refusal("TrustStoreNotFound", f"Trust stores '{sorted(missing)}' not found")
    else:
        found = list(state.trust_stores.values())
    items, marker = paged(found, given)
    return {"TrustStores": [shown(store) for store in items], **marker}


def modify(state: State, given: Shape) -> Result:
    store = state.trust_store(given["TrustStoreArn"])
    store.bundle, store.certificates = _bundle(state, given)
    return {"TrustStores": [shown(store)]}


def delete(state: State, given: Shape) -> Result:
    store = state.trust_store(given["TrustStoreArn"])
    if _users(state, store.arn):
        raise Refusal("TrustStoreInUse", f"Trust store '{store.arn}' is currently in use by a listener")
    del state.trust_stores[store.arn]
    return {}


def associations(state: State, given: Shape) -> Result:
    store = state.trust_store(given["TrustStoreArn"])
    items, marker = paged([{"ResourceArn": user.arn} for user in _users(state, store.arn)], given)
    return {"TrustStoreAssociations": items, **marker}


def add_revocations(state: State, given: Shape) -> Result:
    store = state.trust_store(given["TrustStoreArn"])
    contents = given.get("RevocationContents") or []
    if len(store.revocations) + len(contents) > REVOCATIONS:
        raise Refusal("TooManyTrustStoreRevocationEntries", "The specified trust store has too many revocation lists")
    lists = [_revocation(state, content) for content in contents]
    for content, entries in lists:
        store.revocations_made += 1
        store.revocations[store.revocations_made] = (content, entries)
    return {"TrustStoreRevocations": _revocations(store)[-len(lists) :] if lists else []}


def remove_revocations(state: State, given: Shape) -> Result:
    store = state.trust_store(given["TrustStoreArn"])
    for identity in given["RevocationIds"]:
        _find_revocation(store, identity)
    for identity in given["RevocationIds"]:
        store.revocations.pop(identity, None)
    return {}


def describe_revocations(state: State, given: Shape) -> Result:
    store = state.trust_store(given["TrustStoreArn"])
    for identity in given.get("RevocationIds") or ():
        _find_revocation(store, identity)
    requested = given.get("RevocationIds") or list(store.revocations)
    found = [item for item in _revocations(store) if item["RevocationId"] in requested]
    items, marker = paged(found, given)
    return {"TrustStoreRevocations": items, **marker}


def get_bundle(state: State, given: Shape) -> Result:
    store = state.trust_store(given["TrustStoreArn"])
    return {"Location": state.neighbours.lend(f"{store.name}/ca-certificates-bundle.pem", store.bundle)}


def get_revocation(state: State, given: Shape) -> Result:
    store = state.trust_store(given["TrustStoreArn"])
    identity = given["RevocationId"]
    _find_revocation(store, identity)
    return {"Location": state.neighbours.lend(f"{store.name}/{identity}.crl", store.revocations[identity][0])}


def get_policy(state: State, given: Shape) -> Result:
    """Only a trust store that is shared with other accounts has a policy. There are no other accounts here."""
    if given["ResourceArn"] not in state.trust_stores:
        raise Refusal("ResourceNotFound", f"Resource '{given['ResourceArn']}' not found")
    return {}


def delete_shared_association(state: State, given: Shape) -> Result:
    """Only listeners of other accounts can be dissociated. There are no other accounts here."""
    store = state.trust_store(given["TrustStoreArn"])
    if any(given["ResourceArn"] in (user.arn, user.load_balancer) for user in _users(state, store.arn)):
        raise Refusal(
            "DeleteAssociationSameAccount",
            "The specified association can't be deleted in the same account as the trust store",
        )
    raise Refusal("AssociationNotFound", f"The association with '{given['ResourceArn']}' does not exist")


def shown(store: TrustStore) -> Shape:
    return {
        "Name": store.name,
        "TrustStoreArn": store.arn,
        "Status": "ACTIVE",
        "NumberOfCaCertificates": store.certificates,
        "TotalRevokedEntries": sum(entries for _, entries in store.revocations.values()),
    }


def _users(state: State, arn: str) -> list[Listener]:
    return [
        listener
        for listener in state.listeners.values()
        if (listener.mutual_authentication or {}).get("TrustStoreArn") == arn
    ]


def _bundle(state: State, given: Shape) -> tuple[bytes, int]:
    from cryptography import x509

    bucket, key = given["CaCertificatesBundleS3Bucket"], given["CaCertificatesBundleS3Key"]
    content = state.neighbours.object(bucket, key)
    if content is None:
        raise Refusal("CaCertificatesBundleNotFound", f"The CA certificates bundle '{bucket}/{key}' does not exist")
    try:
        certificates = x509.load_pem_x509_certificates(content)
        for certificate in certificates:
            _check_authority(certificate)
    except ValueError as error:
        raise Refusal("InvalidCaCertificatesBundle", f"The CA certificates bundle is not valid: {error}") from error
    if len(certificates) > CERTIFICATES:
        raise Refusal("InvalidCaCertificatesBundle", f"The bundle has more than '{CERTIFICATES}' CA certificates")
    return content, len(certificates)


def _check_authority(certificate: Any) -> None:
    from cryptography import x509

    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound as error:
        raise ValueError("it contains a certificate that is not a CA certificate") from error
    if not constraints.value.ca:
        raise ValueError("it contains a certificate that is not a CA certificate")


def _revocation(state: State, given: Shape) -> tuple[bytes, int]:
    from cryptography import x509

    bucket, key = given.get("S3Bucket", ""), given.get("S3Key", "")
    content = state.neighbours.object(bucket, key)
    if content is None:
        raise Refusal("RevocationContentNotFound", f"The revocation file '{bucket}/{key}' does not exist")
    try:
        load = x509.load_pem_x509_crl if content.lstrip().startswith(b"-----") else x509.load_der_x509_crl
        return content, len(load(content))
    except ValueError as error:
        raise Refusal("InvalidRevocationContent", "The revocation file is not a valid CRL") from error


def _revocations(store: TrustStore) -> list[Shape]:
    return [
        {
            "TrustStoreArn": store.arn,
            "RevocationId": identity,
            "RevocationType": "CRL",
            "NumberOfRevokedEntries": entries,
        }
        for identity, (_, entries) in store.revocations.items()
    ]


def _find_revocation(store: TrustStore, identity: int) -> None:
    if identity not in store.revocations:
        raise Refusal("RevocationIdNotFound", f"The revocation ID '{identity}' does not exist")
