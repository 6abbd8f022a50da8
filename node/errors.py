"""Errors of a node's own house: settings, data folder, key files, clock.

The families tell a caller what to do. After a `ConfigError` a person must edit
the settings, after a `FolderError` or a `KeyFileError` a person must look at the
disk. Errors about other nodes stand in `yidao.node.link.errors`, those about
the store in `yidao.node.store.errors`.
"""

from yidao.api.errors import YidaoError


class NodeError(YidaoError):
    """Base of all errors of `yidao.node`."""

    code = "NODE_ERROR"


# Settings.


class ConfigError(NodeError):
    """Settings are wrong; the daemon does not start with them."""

    code = "CONFIG_ERROR"


class ConfigNotFound(ConfigError):
    """The settings file is not there (params: path)."""

    code = "CONFIG_NOT_FOUND"


class ConfigUnreadable(ConfigError):
    """The settings file cannot be read, or is no small regular file (params: path, reason)."""

    code = "CONFIG_UNREADABLE"


class ConfigEncoding(ConfigError):
    """The settings file is not plain UTF-8 without a byte order mark (params: path)."""

    code = "CONFIG_ENCODING"


class ConfigSyntax(ConfigError):
    """The settings file is no TOML, or names a key twice (params: path, reason)."""

    code = "CONFIG_SYNTAX"


class ConfigKeyUnknown(ConfigError):
    """There is no setting of that name (params: key, source)."""

    code = "CONFIG_KEY_UNKNOWN"


class ConfigValueInvalid(ConfigError):
    """A setting has a value of the wrong type or range (params: key, source, reason)."""

    code = "CONFIG_VALUE_INVALID"


# Data folder.


class FolderError(NodeError):
    """The data folder cannot be used as it is."""

    code = "DATA_DIR_ERROR"


class FolderMissing(FolderError):
    """The data folder is not there (params: path)."""

    code = "DATA_DIR_MISSING"


class FolderNotReal(FolderError):
    """The data folder is a symbolic link or no folder (params: path)."""

    code = "DATA_DIR_NOT_REAL"


class FolderForeign(FolderError):
    """The data folder belongs to another user (params: path)."""

    code = "DATA_DIR_FOREIGN"


class FolderExposed(FolderError):
    """Other users may enter the data folder (params: path, mode)."""

    code = "DATA_DIR_EXPOSED"


class FolderNotWritable(FolderError):
    """Nothing can be written into the data folder (params: path, reason)."""

    code = "DATA_DIR_NOT_WRITABLE"


class FolderFull(FolderError):
    """The disk of the data folder is full (params: path)."""

    code = "DATA_DIR_FULL"
    retryable = True


class FolderLocked(FolderError):
    """Another daemon works on the data folder (params: path, pid)."""

    code = "DATA_DIR_LOCKED"
    retryable = True


# Key files.


class KeyFileError(NodeError):
    """A file of the key folder cannot be trusted as it is."""

    code = "KEY_FILE_ERROR"


class KeyFileMissing(KeyFileError):
    """A key file is not there (params: name)."""

    code = "KEY_FILE_MISSING"


class KeyFileExists(KeyFileError):
    """A key file is there already and is never overwritten (params: name)."""

    code = "KEY_FILE_EXISTS"


class KeyFileNotRegular(KeyFileError):
    """A key file is a symbolic link, a folder or a device (params: name)."""

    code = "KEY_FILE_NOT_REGULAR"


class KeyFileForeign(KeyFileError):
    """A key file belongs to another user (params: name)."""

    code = "KEY_FILE_FOREIGN"


class KeyFileExposed(KeyFileError):
    """Other users may read a key file (params: name, mode)."""

    code = "KEY_FILE_EXPOSED"


class KeyFileMalformed(KeyFileError):
    """A key file does not hold what its name says (params: name)."""

    code = "KEY_FILE_MALFORMED"


class KeyTainted(KeyFileError):
    """The keys of that epoch must sign nothing any more (params: keys)."""

    code = "KEY_TAINTED"


class NotEnrolled(KeyFileError):
    """This folder holds no enrolled node yet (params: path)."""

    code = "NODE_NOT_ENROLLED"


class AlreadyEnrolled(KeyFileError):
    """This folder holds an enrolled node already (params: path)."""

    code = "NODE_ALREADY_ENROLLED"


# Clock.


class ClockBeforeBuild(NodeError):
    """This machine's clock is before the day on which the program was made (params: now)."""

    code = "CLOCK_BEFORE_BUILD"
