"""Founding a network: the root makes its own certificate, statement and enrolment."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path as FilePath
from typing import Final

from cryptography import x509

from yidao.node import errors
from yidao.node.keys import (
    CA_KEY,
    COSIGN_KEY,
    FIRST_EPOCH,
    JOURNAL_KEY,
    ROOT_CERTIFICATE,
    ROOT_STATEMENT,
    TLS_CHAIN,
    TLS_KEY,
    Chain,
    Identity,
    KeyFolder,
)
from yidao.node.link import certificates
from yidao.node.link.admission import enrolment_draft, prove_enrolment
from yidao.node.store.store import Store
from yidao.sync import ids
from yidao.sync.enrolment import CHANNEL, Enrolment
from yidao.sync.rootstatement import RootStatement
from yidao.sync.suite import ED25519_SHA256

OPERATOR: Final = "founder"

_FILES: Final = (
    TLS_KEY,
    TLS_CHAIN,
    CA_KEY,
    JOURNAL_KEY,
    COSIGN_KEY,
    ROOT_CERTIFICATE,
    ROOT_STATEMENT,
)


def found_network(data_dir: FilePath, *, now: datetime, random: Callable[[int], bytes]) -> Identity:
    """Make a new network whose root lives in `data_dir`, and return the root.

    Args:
        data_dir: A prepared data folder (see `yidao.node.datadir`).
        now: Beginning of the root certificate's 20 years, aware.
        random: Gives that many bytes of the system's generator.

    Raises:
        AlreadyEnrolled: A node lives there.
        FolderNotWritable: The disk refuses.
    """
    folder = KeyFolder.create(data_dir)
    if folder.is_enrolled():
        raise errors.AlreadyEnrolled(path=str(data_dir))
    for name in _FILES:
        # Left by a founding that was cut short; nobody has seen these keys.
        folder.remove(name)
    network, node_id = ids.network_id(random(ids.ID_BYTES)), ids.node_id(random(ids.ID_BYTES))
    identity = Identity(
        network=network,
        node_id=node_id,
        path=ids.Path(),
        epoch=FIRST_EPOCH,
        suite=ED25519_SHA256,
        journal=folder.write_signer(JOURNAL_KEY, random(32)),
        cosign=folder.write_signer(COSIGN_KEY, random(32)),
    )
    _certify(folder, identity, now)
    folder.write_identity(identity)
    return identity


def _certify(folder: KeyFolder, identity: Identity, now: datetime) -> None:
    ca_key, tls_key = certificates.generate_key(), certificates.generate_key()
    root = certificates.issue_root(ca_key, identity.network, now)
    authority = certificates.Authority(key=ca_key, certificate=root, chain_pem=b"")
    leaf = certificates.issue_leaf(
        authority, tls_key.public_key(), identity.network, identity.node_id, identity.path, now
    )
    statement = RootStatement(
        network=identity.network,
        node_id=identity.node_id,
        journal_key=identity.journal.public_key,
        cosign_key=identity.cosign.public_key,
    )
    folder.write_tls_key(CA_KEY, ca_key)
    folder.write_tls_key(TLS_KEY, tls_key)
    folder.write(TLS_CHAIN, certificates.to_pem(leaf))
    folder.write(ROOT_CERTIFICATE, certificates.to_pem(root))
    folder.write(ROOT_STATEMENT, statement.sign(ca_key))


def record_founding(store: Store, folder: KeyFolder, identity: Identity) -> Chain:
    """Append the root's own enrolment, once, and return the root's chain.

    Safe to repeat: its record id follows from the node id, so that a run that was
    cut short is taken up where it stopped.
    """
    digest = hashlib.sha256(b"yidao-founding-record\n" + identity.node_id).digest()
    root = x509.load_pem_x509_certificate(folder.read(ROOT_CERTIFICATE))
    founded_ms = int(root.not_valid_before_utc.timestamp() * 1000)
    record_id = ids.RecordId(founded_ms.to_bytes(6, "big") + digest[:10])
    if store.lookup(record_id) is None:
        enrolment = _own_enrolment(folder, identity)
        draft = enrolment_draft(enrolment, record_id, founded_ms)
        store.run(lambda tx: tx.append(CHANNEL, [draft]))
    chain = Chain(
        statement=folder.read(ROOT_STATEMENT),
        proofs=(prove_enrolment(store, record_id), *store.prove_epochs(identity.node_id)),
    )
    folder.save_chain(chain)
    return chain


def _own_enrolment(folder: KeyFolder, identity: Identity) -> Enrolment:
    tls_key, ca_key = folder.load_tls_key(TLS_KEY), folder.load_tls_key(CA_KEY)
    return Enrolment(
        node_id=identity.node_id,
        path=identity.path,
        journal_key=identity.journal.public_key,
        cosign_key=identity.cosign.public_key,
        suite=identity.suite,
        tls_sha256=certificates.key_sha256(tls_key.public_key()),
        ca_sha256=certificates.key_sha256(ca_key.public_key()),
        operator=f"{OPERATOR}@{identity.path}",
    )
