"""Errors of suites that this machine may or may not be able to use."""

from yidao.sync.errors import LocalError, PeerError


class SuiteUnavailable(PeerError):
    """The suite is known, and the library for it is not installed (params: suite, extra)."""

    code = "SUITE_UNAVAILABLE"


class SignatureFailed(LocalError):
    """The library refused to sign with a key of this node (params: suite)."""

    code = "SIGNATURE_FAILED"


class SealedBroken(PeerError):
    """Sealed bytes were made for another key or under another name, or were changed."""

    code = "SEALED_BROKEN"
