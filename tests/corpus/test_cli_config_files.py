"""Bad settings, folders, key files, bundles and clocks (rows 118 to 126 of the corpus).

Every row ends in one typed error with a stable code and, where a file was at
stake, with the file unchanged. Rows that need the command line stand with it.
"""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from yidao.node import config, datadir, errors
from yidao.node.clock import BUILT_AT_MS, check_clock
from yidao.node.keys import IDENTITY, JOURNAL_KEY, KeyFolder
from yidao.node.messages import render

# Row 118: settings files.

BAD_FILES: dict[str, tuple[bytes, type[errors.ConfigError]]] = {
    "a byte order mark": (b'\xef\xbb\xbflisten = "127.0.0.1:1"\n', errors.ConfigEncoding),
    "UTF-16": ('listen = "127.0.0.1:1"\n'.encode("utf-16"), errors.ConfigEncoding),
    "GB18030 text": ('# 县\nlanguage = "zh"\n'.encode("gb18030"), errors.ConfigEncoding),
    "a NUL byte": (b'listen = "a\x00b"\n', errors.ConfigSyntax),
    "a key twice": (b'language = "zh"\nlanguage = "en"\n', errors.ConfigSyntax),
    "a bare carriage return": (b'language = "zh"\rlog_level = "info"\n', errors.ConfigSyntax),
    "a deep nest": (b"listen = " + b"[" * 5000 + b"]" * 5000, errors.ConfigSyntax),
    "an unknown key": (b"lissten = 1\n", errors.ConfigKeyUnknown),
    "a table": (b"[link]\nlisten = 1\n", errors.ConfigKeyUnknown),
    "a full-width key": ('"ｌisten" = "x"\n'.encode(), errors.ConfigKeyUnknown),
    "a number for a text": (b"listen = 7350\n", errors.ConfigValueInvalid),
    "a text for a number": (b'keepalive_seconds = "30"\n', errors.ConfigValueInvalid),
    "true for a number": (b"keepalive_seconds = true\n", errors.ConfigValueInvalid),
    "not a number": (b"keepalive_seconds = nan\n", errors.ConfigValueInvalid),
    "infinity": (b"keepalive_seconds = inf\n", errors.ConfigValueInvalid),
    "a negative time": (b"keepalive_seconds = -1\n", errors.ConfigValueInvalid),
    "a fraction for a count": (b"join_token_hours = 1.5\n", errors.ConfigValueInvalid),
    "an unknown word": (b'language = "fr"\n', errors.ConfigValueInvalid),
    "delays in the wrong order": (
        b"backoff_min_seconds = 9\nbackoff_max_seconds = 3\n",
        errors.ConfigValueInvalid,
    ),
    "a very long file": (b"#" * (config.MAX_FILE_BYTES + 1), errors.ConfigUnreadable),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_settings_file(name: str, tmp_path: Path) -> None:
    """A settings file with one fault is refused by one typed error that a clerk can read."""
    data, expected = BAD_FILES[name]
    file = tmp_path / "config.toml"
    file.write_bytes(data)
    with pytest.raises(errors.ConfigError) as raised:
        config.load_settings(file, {})
    assert type(raised.value) is expected
    assert data == file.read_bytes()
    for language in ("zh", "en"):
        assert raised.value.code == render(raised.value, language).code


GOOD_FILES = {
    "empty": b"",
    "a comment": "# 西湖区\n".encode(),
    "DOS line ends": b'language = "en"\r\nlog_level = "info"\r\n',
}


@pytest.mark.parametrize("name", GOOD_FILES)
def test_plain_settings_file(name: str, tmp_path: Path) -> None:
    """An empty file gives the defaults, and DOS line ends are no fault."""
    file = tmp_path / "config.toml"
    file.write_bytes(GOOD_FILES[name])
    assert config.load_settings(file, {}).listen == "127.0.0.1:7350"


def test_settings_file_that_is_no_file(tmp_path: Path) -> None:
    """A missing file, a folder and a device are not taken for empty settings."""
    for path in (tmp_path / "none.toml", tmp_path, Path("/dev/zero")):
        with pytest.raises(errors.ConfigNotFound):
            config.load_settings(path, {})


# Row 119: environment.

BAD_ENVIRONMENT: dict[str, tuple[str, str, type[errors.ConfigError]]] = {
    "a word for a number": ("YIDAO_KEEPALIVE_SECONDS", "soon", errors.ConfigValueInvalid),
    "nothing for a number": ("YIDAO_KEEPALIVE_SECONDS", "", errors.ConfigValueInvalid),
    "infinity": ("YIDAO_BACKOFF_MAX_SECONDS", "inf", errors.ConfigValueInvalid),
    "a huge count": ("YIDAO_JOIN_TOKEN_HOURS", "9" * 400, errors.ConfigValueInvalid),
    "an unknown setting": ("YIDAO_LISTN", "127.0.0.1:1", errors.ConfigKeyUnknown),
    "the bare prefix": ("YIDAO_", "1", errors.ConfigKeyUnknown),
}


@pytest.mark.parametrize("name", BAD_ENVIRONMENT)
def test_bad_environment(name: str) -> None:
    """A setting in the environment is checked like one in the file, and named by its variable."""
    variable, value, expected = BAD_ENVIRONMENT[name]
    with pytest.raises(errors.ConfigError) as raised:
        config.load_settings(None, {variable: value})
    assert type(raised.value) is expected
    assert variable == raised.value.params["source"]


# Row 120: ports.

BAD_ADDRESSES = {
    "port 0": "127.0.0.1:0",
    "port 65536": "127.0.0.1:65536",
    "a negative port": "127.0.0.1:-1",
    "no port": "127.0.0.1",
    "no host": ":7350",
    "full-width digits": "127.0.0.1:７３５０",
    "a space": "127.0.0.1: 7350",
    "a line break": "127.0.0.1:7350\n",
    "a scheme": "https://127.0.0.1:7350",
    "bare IPv6": "::1:7350",
}


@pytest.mark.parametrize("name", BAD_ADDRESSES)
def test_bad_address(name: str) -> None:
    """An address is host and port, and no port is left to chance."""
    with pytest.raises(errors.ConfigValueInvalid):
        config.load_settings(None, {}, listen=BAD_ADDRESSES[name])


def test_good_addresses() -> None:
    """Names, IPv4 and bracketed IPv6 with a port from 1 to 65535 are addresses."""
    for address in ("localhost:1", "10.0.0.1:65535", "[::1]:7350", "node-a.example:80"):
        assert address == config.load_settings(None, {}, listen=address).listen


# Row 121: data folder and key files.


def _missing(folder: Path) -> None:
    folder.rmdir()


def _parent_missing(folder: Path) -> None:
    folder.rmdir()
    folder.parent.rmdir()


def _link(folder: Path) -> None:
    folder.rename(folder.with_name("real"))
    folder.symlink_to(folder.with_name("real"))


def _dangling_link(folder: Path) -> None:
    folder.rmdir()
    folder.symlink_to(folder.with_name("nowhere"))


def _plain_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_bytes(b"")


def _open_to_group(folder: Path) -> None:
    folder.chmod(0o750)


def _foreign(folder: Path) -> None:
    os.chown(folder, 65534, 65534)


BAD_FOLDERS: dict[str, tuple[Callable[[Path], None], bool, type[errors.FolderError]]] = {
    "missing and not to be made": (_missing, False, errors.FolderMissing),
    "its parent missing": (_parent_missing, True, errors.FolderMissing),
    "a symbolic link": (_link, True, errors.FolderNotReal),
    "a link to nowhere": (_dangling_link, True, errors.FolderNotReal),
    "a plain file": (_plain_file, True, errors.FolderNotReal),
    "open to the group": (_open_to_group, True, errors.FolderExposed),
    "of another user": (_foreign, True, errors.FolderForeign),
}


@pytest.mark.parametrize("name", BAD_FOLDERS)
def test_bad_data_folder(name: str, tmp_path: Path) -> None:
    """A data folder that others may reach, or that is none, is refused as it is."""
    spoil, create, expected = BAD_FOLDERS[name]
    if spoil is _foreign and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = tmp_path / "parent" / "data"
    folder.mkdir(mode=0o700, parents=True)
    spoil(folder)
    with pytest.raises(errors.FolderError) as raised:
        datadir.prepare(folder, create=create)
    assert type(raised.value) is expected


def test_full_disk(tmp_path: Path) -> None:
    """A full disk is found by a trial write, before anything relies on the folder."""
    folder = datadir.prepare(tmp_path / "data")
    # The trial goes to the kernel's always-full device: a real ENOSPC.
    (folder / f".trial.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(errors.FolderFull) as raised:
        datadir.prepare(folder)
    assert raised.value.retryable
    assert list(folder.iterdir()) == []


def test_new_folder_is_private(tmp_path: Path) -> None:
    """A data folder is made with mode 0700, whatever the umask says."""
    old = os.umask(0)
    try:
        folder = datadir.prepare(tmp_path / "data")
        keys = KeyFolder.create(folder)
        keys.write("tls.key", b"x")
    finally:
        os.umask(old)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, keys.path)]
    assert modes == [0o700, 0o700]
    assert stat.S_IMODE((keys.path / "tls.key").stat().st_mode) == 0o600


def test_lock_of_a_living_daemon(tmp_path: Path) -> None:
    """Two daemons on one folder: the second is told the number of the first (row 122)."""
    folder = datadir.prepare(tmp_path / "data")
    program = (
        "import sys; from pathlib import Path; from yidao.node.datadir import FolderLock\n"
        f"FolderLock.take(Path({str(folder)!r})); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(errors.FolderLocked) as raised:
            datadir.FolderLock.take(folder)
        assert str(holder.pid) == raised.value.params["pid"]
        holder.kill()
        holder.wait()
    # The killed holder left its number behind, and no lock.
    with datadir.FolderLock.take(folder):
        assert f"{os.getpid()}\n" == (folder / datadir.LOCK_NAME).read_text()


def test_lock_file_that_is_a_link(tmp_path: Path) -> None:
    """The lock file is not followed to where a link would have it written."""
    folder = datadir.prepare(tmp_path / "data")
    target = tmp_path / "precious"
    target.write_text("kept")
    (folder / datadir.LOCK_NAME).symlink_to(target)
    with pytest.raises(errors.FolderNotWritable):
        datadir.FolderLock.take(folder)
    assert target.read_text() == "kept"


def _exposed(file: Path) -> None:
    file.chmod(0o640)


def _linked(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir(mode=0o700)


def _gone(file: Path) -> None:
    file.unlink()


def _given_away(file: Path) -> None:
    os.chown(file, 65534, 65534)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _huge(file: Path) -> None:
    file.write_bytes(b"-" * (2 * 1024 * 1024))


def _rsa(file: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = rsa.generate_private_key(65537, 2048)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


BAD_KEY_FILES: dict[str, tuple[Callable[[Path], None], type[errors.KeyFileError]]] = {
    "readable by the group": (_exposed, errors.KeyFileExposed),
    "a symbolic link": (_linked, errors.KeyFileNotRegular),
    "a pipe": (_fifo, errors.KeyFileNotRegular),
    "a folder": (_folder, errors.KeyFileNotRegular),
    "missing": (_gone, errors.KeyFileMissing),
    "of another user": (_given_away, errors.KeyFileForeign),
    "empty": (_empty, errors.KeyFileMalformed),
    "huge": (_huge, errors.KeyFileMalformed),
    "a key of another kind": (_rsa, errors.KeyFileMalformed),
}


@pytest.mark.parametrize("name", BAD_KEY_FILES)
def test_bad_key_file(name: str, tmp_path: Path) -> None:
    """A key file that others can reach, or that holds something else, is never used."""
    spoil, expected = BAD_KEY_FILES[name]
    if spoil is _given_away and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    folder = KeyFolder.create(datadir.prepare(tmp_path / "data"))
    folder.write_signer(JOURNAL_KEY, bytes(32))
    spoil(folder.path / JOURNAL_KEY)
    with pytest.raises(errors.KeyFileError) as raised:
        folder.load_signer(JOURNAL_KEY)
    assert type(raised.value) is expected


BAD_IDENTITIES = {
    "no JSON": b"{",
    "a list": b"[]",
    "a field missing": b'{"format":1}',
    "another format": b'{"format":2,"network":"","node_id":"","path":"/","epoch":"1","suite":1}',
    "an unknown suite": (
        b'{"format":1,"network":"%s","node_id":"%s","path":"/","epoch":"1","suite":9}'
        % (b"0" * 32, b"0" * 32)
    ),
    "a path that is none": (
        b'{"format":1,"network":"%s","node_id":"%s","path":"//","epoch":"1","suite":1}'
        % (b"0" * 32, b"0" * 32)
    ),
    "an epoch that is none": (
        b'{"format":1,"network":"%s","node_id":"%s","path":"/","epoch":"0","suite":1}'
        % (b"0" * 32, b"0" * 32)
    ),
}


@pytest.mark.parametrize("name", BAD_IDENTITIES)
def test_bad_identity_file(name: str, tmp_path: Path) -> None:
    """An identity that was edited or cut off does not become a node."""
    folder = KeyFolder.create(datadir.prepare(tmp_path / "data"))
    folder.write_signer("journal.key", bytes(32))
    folder.write_signer("cosign.key", bytes(range(32)))
    folder.write(IDENTITY, BAD_IDENTITIES[name])
    with pytest.raises(errors.KeyFileMalformed):
        folder.load_identity()


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    """A key file that is there stays as it is."""
    folder = KeyFolder.create(datadir.prepare(tmp_path / "data"))
    folder.write_signer(JOURNAL_KEY, bytes(32))
    before = folder.read(JOURNAL_KEY)
    with pytest.raises(errors.KeyFileExists):
        folder.write_signer(JOURNAL_KEY, bytes(range(32)))
    assert before == folder.read(JOURNAL_KEY)


# Row 126: clocks.


@pytest.mark.parametrize("now_ms", [-1, 0, BUILT_AT_MS - 1, -(2**62)])
def test_clock_before_build(now_ms: int) -> None:
    """A clock before the day on which the program was made stops the start."""
    with pytest.raises(errors.ClockBeforeBuild):
        check_clock(now_ms)


def test_clock_after_build() -> None:
    """The day of the build itself is a good day."""
    check_clock(BUILT_AT_MS)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC-14", "nonsense/zone", "Pacific/Kiritimati"])
@pytest.mark.parametrize("locale", ["C", "tr_TR.UTF-8", "zh_CN.GB18030"])
def test_clock_in_strange_surroundings(zone: str, locale: str) -> None:
    """Neither time zone nor locale changes what is checked or shown (row 126)."""
    program = (
        "from yidao.node import clock, config, errors\n"
        "settings = config.load_settings(None, {'YIDAO_LOG_LEVEL': 'info'})\n"
        "try: clock.check_clock(86_400_000)\n"
        "except errors.ClockBeforeBuild as error: print(error.params['now'])\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TZ": zone, "LC_ALL": locale, "LANG": locale},
        capture_output=True,
        check=True,
    )
    assert shown.stdout.strip() == b"1970-01-02"
