"""The reference pages of `docs/`, made from the code: settings, errors, commands; zh and en.

`make docs` writes them; a test fails when they are not what the code says.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from yidao.api.errors import every_error
from yidao.node.config import SettingDoc, Settings, describe
from yidao.node.messages import LANGUAGES, pages

_SUFFIX: Final = {"zh": ".zh-CN.md", "en": ".md"}
_MADE: Final = {
    "zh": "本页由 `make docs` 从代码生成, 请勿手工修改.",
    "en": "This page is made from the code by `make docs`; do not edit it.",
}
_OTHER: Final = {"zh": ("en", "English"), "en": ("zh", "中文")}

_CONFIG_TITLE: Final = {"zh": "配置", "en": "Configuration"}
_CONFIG_INTRO: Final = {
    "zh": "配置写在数据目录的 `config.toml` (TOML) 中. 环境变量优先于文件, 命令行优先于环境变量. "
    "写错的配置名会使节点拒绝启动. 修改后重启生效.",
    "en": "Settings stand in `config.toml` (TOML) in the data folder. The environment is stronger "
    "than the file, the command line stronger than both. A name that is no setting stops the "
    "start. A change is in force after a restart.",
}
_CONFIG_HEAD: Final = {
    "zh": "| 配置项 | 默认值 | 取值 | 环境变量 | 说明 |",
    "en": "| setting | default | values | environment | what it is for |",
}

_ERRORS_TITLE: Final = {"zh": "错误代码", "en": "Error codes"}
_ERRORS_INTRO: Final = {
    "zh": "每个错误都有固定的代码, 附中英文说明和下一步. 花括号处填入具体参数. 标有 ↻ 的错误, "
    "同样的请求稍后再试可能成功.",
    "en": "Every error has a stable code, a text and a next step, in Chinese and English. Braces "
    "hold parameters. After an error marked ↻ the same call may succeed later.",
}
_ERRORS_HEAD: Final = {
    "zh": "| 代码 | 说明 | 下一步 |",
    "en": "| code | what happened | what to do |",
}


_CLI_TITLE: Final = {"zh": "命令行", "en": "Command line"}
_CLI_INTRO: Final = {
    "zh": "`yidao --lang en` 改用英文. 退出码: 0 完成, 1 部分完成或发现问题, "
    "2 参数、配置或文件有误, 3 节点无应答, 4 节点拒绝, 70 程序缺陷.",
    "en": "`yidao --lang en` speaks English. Exit codes: 0 done, 1 done in part or a problem "
    "found, 2 wrong arguments, settings or files, 3 no node answers, 4 the node refused, "
    "70 a defect.",
}


@cache
def reference() -> Mapping[str, str]:
    """Return every generated page by its file name."""
    _import_everything()
    made = {"configuration": _configuration, "errors": _errors, "cli": _command_line}
    return {
        name + _SUFFIX[language]: "\n".join(lines(language)) + "\n"
        for name, lines in made.items()
        for language in LANGUAGES
    }


def _begin(name: str, title: str, intro: str, language: str) -> Iterator[str]:
    other, label = _OTHER[language]
    yield from (f"# {title}", "", f"[{label}]({name}{_SUFFIX[other]})", "")
    yield from (intro, "", _MADE[language], "")


def _configuration(language: str) -> Iterator[str]:
    yield from _begin("configuration", _CONFIG_TITLE[language], _CONFIG_INTRO[language], language)
    yield from (_CONFIG_HEAD[language], "|---|---|---|---|---|")
    schema = Settings.model_json_schema()["properties"]
    for each in describe():
        yield _setting_row(each, schema[each.name], language)


def _setting_row(setting: SettingDoc, schema: Mapping[str, Any], language: str) -> str:
    words = setting.description_zh if language == "zh" else setting.description
    default = f"`{setting.default}`" if setting.default else ""
    return (
        f"| `{setting.name}` | {default} | {_values(schema, language)} "
        f"| `{setting.environment}` | {_cell(words)} |"
    )


def _values(schema: Mapping[str, Any], language: str) -> str:
    """Say what a setting takes, from its JSON schema."""
    variants = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    found = {**schema, **(variants[0] if variants else {})}
    if "enum" in found:
        return ", ".join(f"`{value}`" for value in found["enum"])
    low = found.get("minimum", found.get("exclusiveMinimum"))
    if low is not None:
        sign = "≥" if "minimum" in found else ">"
        return f"{sign} {low:g}, ≤ {found['maximum']:g}"
    kinds = {
        "boolean": ("`true`, `false`", "`true`, `false`"),
        "string": ("文字", "text"),
    }
    zh, en = kinds[found["type"]]
    return zh if language == "zh" else en


def _errors(language: str) -> Iterator[str]:
    yield from _begin("errors", _ERRORS_TITLE[language], _ERRORS_INTRO[language], language)
    retryable = {kind.code for kind in every_error() if kind.retryable}
    for page, entries in pages(language).items():
        yield from (f"## {page}", "", _ERRORS_HEAD[language], "|---|---|---|")
        for code, entry in entries.items():
            mark = " ↻" if code in retryable else ""
            yield f"| `{code}`{mark} | {_cell(entry.text)} | {_cell(entry.hint)} |"
        yield ""


def _command_line(language: str) -> Iterator[str]:
    yield from _begin("cli", _CLI_TITLE[language], _CLI_INTRO[language], language)
    # Help texts are made in one language when they are imported.
    done = subprocess.run(
        [sys.executable, "-m", "yidao.node.cli.page"],
        capture_output=True,
        check=True,
        env={**os.environ, "YIDAO_LANGUAGE": language, "PYTHONUTF8": "1"},
    )
    yield from done.stdout.decode("utf-8").rstrip("\n").split("\n")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def write(folder: Path) -> None:
    """Write every page into `folder`."""
    for name, text in reference().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _import_everything() -> None:
    """Import every module, so that every error class is known."""
    import pkgutil
    from importlib import import_module

    import yidao.catalog
    import yidao.node
    import yidao.sync

    for package in (yidao.sync, yidao.catalog, yidao.node):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith(("__main__", "reference")):
                import_module(module.name)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
