"""`yidao backup` and `yidao restore`: a node in one encrypted, signed file, and back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, told_errors
from yidao.node.cli.speech import say

if TYPE_CHECKING:
    from yidao.node.backup.sealing import Unlock

_FROM_STDIN = typer.Option(
    "--passphrase-stdin", help=say("口令从标准输入读", "Passphrase from stdin")
)
_KEY = typer.Option(
    "--key", help=say("收件人私钥 (X25519, PEM)", "The recipient's private key (X25519, PEM)")
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    backup = typer.Typer(
        help=say(
            "备份节点 (库、密钥、配置), 可在运行中",
            "Back a node up: store, keys, settings; also a running one",
        ),
        no_args_is_help=True,
    )
    app.add_typer(backup, name="backup")
    _register_make(backup)
    _register_verify(backup)
    _register_restore(app)


def _register_make(backup: typer.Typer) -> None:
    @backup.command(help=say("写一份加密并签名的备份", "Write an encrypted, signed backup"))
    def make(
        data: Data,
        file: Annotated[
            Path, typer.Argument(help=say("写到 (*.yidao-backup)", "Write to (*.yidao-backup)"))
        ],
        recipient: Annotated[
            Path | None,
            typer.Option(
                help=say("收件人公钥 (X25519, PEM)", "The recipient's public key (X25519, PEM)")
            ),
        ] = None,
        from_stdin: Annotated[bool, _FROM_STDIN] = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.backup.making import make_backup
            from yidao.node.clock import system_clock_ms
            from yidao.node.doctor.checks import load

            settings = load(data.absolute())
            with _shown(as_json) as progress:
                made = make_backup(
                    settings,
                    file,
                    _lock(recipient, from_stdin),
                    now_ms=system_clock_ms(),
                    progress=progress,
                )
            facts = {
                "file": str(file),
                "bytes": made.size_bytes,
                "position": made.position,
                "created_ms": made.created_ms,
            }
            text = say(
                f"{file}: 到第 {made.position} 条, {made.size_bytes / 2**20:.1f} MiB, 已加密并签名",
                f"{file}: up to record {made.position}, {made.size_bytes / 2**20:.1f} MiB, "
                "encrypted and signed",
            )
            answer(as_json, facts, text)


def _register_verify(backup: typer.Typer) -> None:
    @backup.command(
        help=say(
            "核验备份; 对目录则逐份核验并指出最新可用的一份",
            "Check a backup; of a folder each one, naming the newest that is usable",
        )
    )
    def verify(
        file: Annotated[
            Path, typer.Argument(help=say("备份文件或目录", "A backup or a folder of them"))
        ],
        key: Annotated[Path | None, _KEY] = None,
        from_stdin: Annotated[bool, _FROM_STDIN] = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.backup.restoring import check_file, check_folder

            if file.is_dir():
                found = check_folder(file)
                usable = next((each for each in found if not each.code), None)
                lines = [
                    f"{each.file.name}: {say('完好', 'whole') if not each.code else each.code}"
                    for each in found
                ]
                newest = say("最新可用", "Newest usable") + f": {usable.file if usable else '-'}"
                facts: dict[str, object] = {
                    "usable": str(usable.file) if usable else None,
                    "backups": [{"file": str(e.file), "code": e.code} for e in found],
                }
                answer(as_json, facts, "\n".join([*lines, newest]))
                if any(each.code for each in found) or usable is None:
                    raise typer.Exit(Exit.PARTLY)
                return
            secret = None if key is None and not from_stdin else _unlock(key, from_stdin)
            verdict = check_file(file, secret)
            made = datetime.fromtimestamp(verdict.created_ms / 1000, UTC).astimezone()
            how = (
                say("内容已逐块核验", "all of its content was checked")
                if verdict.opened
                else say("签名完好 (未解密)", "whole and signed; not opened")
            )
            answer(
                as_json,
                {
                    "file": str(file),
                    "path": verdict.path,
                    "created_ms": verdict.created_ms,
                    "opened": verdict.opened,
                },
                f"{file}: {verdict.path}, {made:%Y-%m-%d %H:%M}, {how}",
            )


def _register_restore(app: typer.Typer) -> None:
    @app.command(
        help=say(
            "从备份恢复到空目录; 恢复的节点先停签, 与上级对齐后在新纪元继续",
            "Restore a backup into an empty folder; the node starts fenced and opens a new epoch",
        )
    )
    def restore(
        file: Annotated[Path, typer.Argument(help=say("备份文件", "The backup"))],
        folder: Annotated[Path, typer.Argument(help=say("空目录", "An empty folder"))],
        key: Annotated[Path | None, _KEY] = None,
        from_stdin: Annotated[bool, _FROM_STDIN] = False,
        as_json: Json = False,
    ) -> None:
        with told_errors(as_json):
            from yidao.node.backup.restoring import restore as unpack

            done = unpack(file, folder.absolute(), _unlock(key, from_stdin))
            text = say(
                f"{done.path} 已恢复到 {folder} (第 {done.position} 条)。"
                f"启动: yidao run --data {folder}\n"
                "它先停签, 从上级取回备份之后的记录, 再开启新纪元。旧机器若还在, 切勿再启动。",
                f"{done.path} is restored in {folder} (record {done.position}). "
                f"Start it: yidao run --data {folder}\n"
                "It signs nothing until what came after the backup is back, and goes on in a new "
                "epoch. If the old machine still exists, never start it again.",
            )
            facts = {"folder": str(folder), "path": done.path, "position": done.position}
            answer(as_json, facts, text)


def _lock(recipient: Path | None, from_stdin: bool) -> Any:
    import secrets

    from yidao.node.backup import sealing
    from yidao.node.backup.errors import BackupSecretMissing
    from yidao.node.backup.keyfiles import read_public

    if recipient is not None and from_stdin:
        raise BackupSecretMissing
    if recipient is not None:
        public = read_public(recipient)
        return lambda key: sealing.lock_to(key, public)
    passphrase = _passphrase(from_stdin, confirm=True)
    return lambda key: sealing.lock_with_passphrase(key, passphrase, secrets.token_bytes(16))


def _unlock(key: Path | None, from_stdin: bool) -> "Unlock":
    from yidao.node.backup import sealing
    from yidao.node.backup.errors import BackupSecretMissing
    from yidao.node.backup.keyfiles import read_private

    if key is not None and from_stdin:
        raise BackupSecretMissing
    if key is not None:
        return sealing.by_key(read_private(key))
    return sealing.by_passphrase(_passphrase(from_stdin, confirm=False))


def _passphrase(from_stdin: bool, *, confirm: bool) -> str:
    import sys

    from yidao.node.backup.errors import BackupSecretMissing
    from yidao.node.cli.passwords import ask_secret

    prompt = say("备份口令", "Passphrase of the backup")
    # A nightly job that forgot the passphrase must end, not wait at a prompt.
    asked = from_stdin or sys.stdin.isatty()
    said = ask_secret(prompt, from_stdin, confirm=confirm) if asked else ""
    if not said:
        raise BackupSecretMissing
    return said


def _shown(as_json: bool) -> Any:
    """Show how far a copy is, where a person looks on."""
    import sys
    from collections.abc import Iterator
    from contextlib import contextmanager

    @contextmanager
    def shown() -> Iterator[Any]:
        if as_json or not sys.stderr.isatty():
            yield lambda _done, _total: None
            return
        with typer.progressbar(length=100, label=say("复制", "Copying"), file=sys.stderr) as bar:

            def progress(done: int, total: int) -> None:
                bar.update(max(0, done * 100 // max(total, 1) - bar.pos))

            yield progress

    return shown()
