"""Errors of backups."""

from yidao.node.errors import NodeError


class BackupError(NodeError):
    """Something about a backup."""

    code = "BACKUP_ERROR"


class BackupDamaged(BackupError):
    """The file was cut off or changed (params: file, reason, usable)."""

    code = "BACKUP_DAMAGED"


class BackupLocked(BackupError):
    """The passphrase or key does not open the file (params: file)."""

    code = "BACKUP_LOCKED"


class BackupForeign(BackupError):
    """The file is no backup of Yidao, or of a newer form (params: file)."""

    code = "BACKUP_FOREIGN"


class BackupKeyUnfit(BackupError):
    """A key file is no X25519 key in PEM (params: file)."""

    code = "BACKUP_KEY_UNFIT"


class BackupSecretMissing(BackupError):
    """Neither a passphrase nor a key was given, or both."""

    code = "BACKUP_SECRET_MISSING"


class BackupOfPostgresql(BackupError):
    """The store is in PostgreSQL, whose own tools back it up."""

    code = "BACKUP_OF_POSTGRESQL"


class RestoreFolderNotEmpty(BackupError):
    """The folder to restore into is not empty (params: path)."""

    code = "RESTORE_FOLDER_NOT_EMPTY"


class BackupNotWritten(BackupError):
    """The disk refuses (params: path, reason)."""

    code = "BACKUP_NOT_WRITTEN"
