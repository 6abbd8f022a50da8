"""One process: from a data folder to a node that serves, until it is told to stop.

Order of the start: folder and lock, keys, self-tests, store, affairs, local
API, links. Whatever fails, fails before the first byte is served. The end runs
the other way round, and a kill at any moment loses nothing that was answered.
"""

import asyncio
import os
import random
import resource
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path as FilePath
from typing import Final, TextIO, cast

from google.protobuf.internal import api_implementation

from yidao.api.local.v1.node_pb2 import StatusResponse
from yidao.node import datadir
from yidao.node.assembly import Assembly
from yidao.node.clock import check_clock, system_clock_ms
from yidao.node.config import Settings, load_settings
from yidao.node.errors import NodeError
from yidao.node.keys import KeyFolder
from yidao.node.link.dialer import Dialer
from yidao.node.link.hub import Hub
from yidao.node.link.leader import LeaderDialer
from yidao.node.link.options import forget_environment_proxies
from yidao.node.link.peercheck import Peer
from yidao.node.link.way import why_lost
from yidao.node.logfile import LogFile
from yidao.node.logging import configure, get_logger
from yidao.node.renewing import LiveCertificates
from yidao.node.setup import CONFIG_NAME
from yidao.node.store.store import Store
from yidao.node.systemd import notify_ready
from yidao.sync.enrolment import verify_chain
from yidao.sync.selftest import self_test_for
from yidao.sync.suite import ED25519_SHA256

# As the unit file of `yidao systemd` has it.
OPEN_FILES: Final = 65_536

log = get_logger()


class ProtobufSlow(NodeError):
    """Protobuf runs on a parser whose limits are not those relied on (params: found)."""

    code = "PROTOBUF_PARSER_UNFIT"


def serve(data: FilePath, overrides: Mapping[str, str | float]) -> None:
    """Run the node whose data folder this is until it is told to stop.

    Raises:
        YidaoError: The node cannot start; nothing was changed.
    """
    import uvloop

    folder = datadir.prepare(data, create=False)
    file = folder / CONFIG_NAME
    settings = load_settings(
        file if file.exists() else None, os.environ, data_dir=folder, **overrides
    )
    log_file = None
    if settings.log_file is not None:
        log_file = LogFile(
            settings.log_file, limit_mib=settings.log_file_mib, count=settings.log_file_count
        )
    configure(
        level=settings.log_level, format=settings.log_format, stream=cast("TextIO | None", log_file)
    )
    check_clock(system_clock_ms())
    self_test()
    forget_environment_proxies()
    raise_file_limit()
    with datadir.FolderLock.take(folder):
        uvloop.run(Daemon(settings, log_file).run())


def self_test() -> None:
    """Refuse to start on libraries that do not do what is relied on.

    Raises:
        ProtobufSlow: Protobuf runs on its pure Python parser, whose depth limits differ.
        SuiteSelfTestFailed: The signature suite fails its vectors.
    """
    if api_implementation.Type() != "upb":
        raise ProtobufSlow(found=api_implementation.Type())
    self_test_for([ED25519_SHA256])


def raise_file_limit() -> None:
    """Allow as many open files as thousands of children need, where the system lets us.

    The usual limit of 1,024 is there for programs that use `select`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Daemon:
    """One node, from start to stop."""

    def __init__(self, settings: Settings, log_file: LogFile | None = None) -> None:
        self._settings = settings
        self._log_file = log_file
        self._keys = KeyFolder(settings.data_dir)
        self._stop = asyncio.Event()
        self._defect: BaseException | None = None

    async def run(self) -> None:
        """Start everything, wait for a signal, stop everything."""
        self._listen_to_signals()
        parts = await Assembly(self._settings, self._keys).make()
        await parts.start()
        dialing = self._dial(parts.hub, parts.certificates)
        log.info(
            "node.daemon.started",
            path=str(parts.hub.identity.path),
            position=parts.store.last_position(),
        )
        try:
            with self._metrics(parts.node_service.status, parts.store):
                await asyncio.to_thread(notify_ready)
                await self._stop.wait()
        finally:
            log.info("node.daemon.stopping", path=str(parts.hub.identity.path))
            parts.jobs.stop()
            if dialing is not None:
                dialing.cancel()
                await asyncio.gather(dialing, return_exceptions=True)
            await parts.stop()
        if self._defect is not None:
            raise self._defect

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reopen_log)

    def _metrics(
        self, status: Callable[[], StatusResponse], store: Store
    ) -> AbstractContextManager[None]:
        settings = self._settings
        if settings.metrics_listen is None:
            return nullcontext()
        # Its library is a few MB, which a node without metrics need not carry.
        from yidao.node.metrics import served

        return served(settings.metrics_listen, settings.data_dir, status, store.commit_times)

    def _reopen_log(self) -> None:
        if self._log_file is not None:
            self._log_file.reopen()
            log.info("node.log.reopened")

    def _dial(self, hub: Hub, certificates: LiveCertificates) -> "asyncio.Task[None] | None":
        if self._settings.parent_address is None or hub.identity.path.depth == 0:
            return None
        known = verify_chain(hub.trust.root_pem, hub.trust.chain.statement, hub.trust.chain.proofs)
        parent = known[-2]
        peer = Peer(node_id=parent.node_id, path=parent.path, tls_sha256=parent.tls_sha256)
        dialer = Dialer(
            hub,
            peer,
            certificates,
            self._settings,
            random.random,
            lambda: why_lost(self._settings, self._keys, parent.path, system_clock_ms),
        )
        task = asyncio.create_task(LeaderDialer(hub, dialer).run(), name="dialer")
        task.add_done_callback(self._dialer_ended)
        return task

    def _dialer_ended(self, task: "asyncio.Task[None]") -> None:
        """A dialer never ends by itself; a node that cannot dial must not look healthy."""
        if not task.cancelled():
            log.error("link.dialer.died", error=type(task.exception()).__name__)
            self._defect = task.exception()
            self._stop.set()
