"""The command line: one file a verb.

Verbs import what they need when they run, so that `yidao --help` answers at
once. Texts are Chinese or English (`--lang`), every verb that answers with
data takes `--json`, and exit codes are those of `yidao.node.cli.output`.
"""

import sys


def main() -> None:
    """Run the command line; a defect prints its kind, never a payload."""
    from yidao.node.cli.commands import app
    from yidao.node.cli.speech import language_first

    try:
        app(args=language_first(sys.argv[1:]))
    except BrokenPipeError:
        # The reader of a pipe went away, as `| head` does.
        sys.stderr.close()
    except Exception as error:  # noqa: BLE001 (the last place: what comes here is a defect)
        from yidao.node.cli.output import tell_defect

        raise SystemExit(tell_defect(error, "--json" in sys.argv)) from None
