"""`yidao catalog`: draft, submit, review, publish, withdraw and search resources; export DCAT."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yidao.node.cli.output import Data, Exit, Json, answer, table, told_errors
from yidao.node.cli.speech import LANGUAGE, say

if TYPE_CHECKING:
    from yidao.node.client import CatalogDraft, CatalogEntry, CatalogPage

Actor = Annotated[str, typer.Option(help=say("经办人, 如 li@/33", "Who, such as li@/33"))]
Code = Annotated[str, typer.Argument(help=say("信息资源代码", "The resource code"))]
Reason = Annotated[str, typer.Option(help=say("理由", "Why"))]
ClassCode = Annotated[
    str,
    typer.Option(
        "--class-code",
        help=say(
            "类项目细目, 如 30603733010600000001",
            "The class code, such as 30603733010600000001",
        ),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    catalog = typer.Typer(help=say("资源目录", "The catalog of resources"), no_args_is_help=True)
    app.add_typer(catalog, name="catalog")
    _register_drafting(catalog)
    _register_steps(catalog)
    _register_reading(catalog)


def _register_drafting(catalog: typer.Typer) -> None:
    @catalog.command(
        help=say(
            "编制条目: 由表式 (--pack --form --class-code --unit) 或由文件 (--file)",
            "Draft an entry from a form (--pack --form --class-code --unit) or from a --file",
        )
    )
    def draft(
        data: Data,
        actor: Actor,
        file: Annotated[
            Path | None, typer.Option(help=say("条目文件 (JSON)", "The resource, a JSON file"))
        ] = None,
        pack: Annotated[str, typer.Option(help=say("标准, 如 energy", "Pack: energy"))] = "",
        form: Annotated[str, typer.Option(help=say("表式, 如 consumption", "Its form"))] = "",
        class_code: ClassCode = "",
        unit: Annotated[
            str, typer.Option(help=say("提供方的统一社会信用代码", "The providing unit's code"))
        ] = "",
        title: Annotated[str, typer.Option(help=say("名称", "Another title"))] = "",
        share_type: Annotated[
            int,
            typer.Option(
                min=0,
                max=3,
                help=say(
                    "共享类型: 1 无条件, 2 有条件 (默认), 3 不予共享",
                    "1 shared, 2 on conditions (if left out), 3 not shared",
                ),
            ),
        ] = 0,
        share_text: Annotated[
            str,
            typer.Option(
                help=say("共享条件或不予共享的依据", "The condition, or the basis of not sharing")
            ),
        ] = "",
        as_json: Json = False,
    ) -> None:
        if (file is None) != bool(pack and form and class_code and unit):
            raise typer.BadParameter(
                say(
                    "请给出 --file, 或一并给出 --pack --form --class-code --unit",
                    "give --file, or --pack, --form, --class-code and --unit together",
                )
            )
        with told_errors(as_json):
            from yidao.catalog.resource import decode_resource
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import read_file

            with connect(data) as client:
                if file is not None:
                    made = client.save_draft(decode_resource(read_file(file)), actor=actor)
                else:
                    made = client.draft_from_form(
                        actor=actor,
                        pack=pack,
                        form=form,
                        class_code=class_code,
                        unit=unit,
                        title=title,
                        share_type=share_type,
                        share_text=share_text,
                    )
            answer(as_json, draft_facts(made), draft_text(made))
        if made.faults:
            raise typer.Exit(Exit.PARTLY)

    @catalog.command(help=say("取下一个信息资源代码", "Take the next free resource code"))
    def code(data: Data, actor: Actor, class_code: ClassCode, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                issued = client.issue_code(class_code, actor=actor)
            answer(as_json, {"code": issued}, issued)


def _register_steps(catalog: typer.Typer) -> None:
    @catalog.command(help=say("提交审核", "Submit for review"))
    def submit(data: Data, code: Code, actor: Actor, as_json: Json = False) -> None:
        _step(data, "submit_entry", code, as_json, say("已提交", "Submitted"), actor=actor)

    @catalog.command(help=say("审核通过 (须由另一人)", "Review; another person than submitted"))
    def review(data: Data, code: Code, actor: Actor, as_json: Json = False) -> None:
        _step(data, "review_entry", code, as_json, say("审核通过", "Reviewed"), actor=actor)

    @catalog.command("send-back", help=say("退回修改", "Make it a draft again"))
    def send_back(
        data: Data, code: Code, actor: Actor, reason: Reason, as_json: Json = False
    ) -> None:
        done = say("已退回", "Sent back")
        _step(data, "send_back_entry", code, as_json, done, actor=actor, reason=reason)

    @catalog.command(help=say("发布并向上登记", "Publish, and register upward"))
    def publish(data: Data, code: Code, actor: Actor, as_json: Json = False) -> None:
        _step(data, "publish_entry", code, as_json, say("已发布", "Published"), actor=actor)

    @catalog.command(help=say("撤销已发布的条目", "Withdraw a published entry"))
    def withdraw(
        data: Data, code: Code, actor: Actor, reason: Reason, as_json: Json = False
    ) -> None:
        done = say("已撤销", "Withdrawn")
        _step(data, "withdraw_entry", code, as_json, done, actor=actor, reason=reason)


def _step(data: Path, call: str, code: str, as_json: bool, done: str, **fields: str) -> None:
    with told_errors(as_json):
        from yidao.node.cli.connection import connect

        with connect(data) as client:
            placed = getattr(client, call)(code, **fields)
        answer(as_json, {"code": code, "position": placed.position}, f"{done}: {code}")


def _register_reading(catalog: typer.Typer) -> None:
    @catalog.command(help=say("检索本级及下级的目录", "Search this node's catalog and those below"))
    def search(
        data: Data,
        words: Annotated[
            list[str] | None, typer.Argument(help=say("检索词", "Words to search for"))
        ] = None,
        where: Annotated[
            list[str] | None,
            typer.Option(
                help=say(
                    "筛选, 如 share_type=1 owner=/33 class=306 state=withdrawn",
                    "Filter: share_type=1, owner=/33, class=306, state=withdrawn",
                )
            ),
        ] = None,
        after: Annotated[str, typer.Option(help=say("从上一页的 next 起", "Next page"))] = "",
        limit: Annotated[int, typer.Option(min=1, max=500, help=say("条数", "Entries"))] = 50,
        as_json: Json = False,
    ) -> None:
        filters = dict(each.partition("=")[::2] for each in where or ())
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                page = client.search_catalog(
                    " ".join(words or ()), filters=filters, after=after, limit=limit
                )
            rows = [[e.code, e.resource.title, e.owner_path, e.state.value] for e in page.entries]
            facts = {
                "entries": [entry_facts(each) for each in page.entries],
                "next": page.next,
                "total": page.total,
                "facets": facet_facts(page),
            }
            show = table(
                [
                    say("代码", "code"),
                    say("名称", "title"),
                    say("节点", "node"),
                    say("状态", "state"),
                ],
                rows,
            )

            def text() -> None:
                show()
                typer.echo(say(f"共 {page.total} 条", f"{page.total} found"))
                for name, values in facet_facts(page).items():
                    shown = "  ".join(f"{value} {count}" for value, count in values.items())
                    typer.echo(f"{name}: {shown}")
                if page.next:
                    typer.echo(say(f"下一页: --after {page.next}", f"next: --after {page.next}"))

            answer(as_json, facts, text)

    @catalog.command(help=say("查看条目", "Show an entry"))
    def show(data: Data, code: Code, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                entry = client.entry(code)
            answer(as_json, entry_facts(entry), entry_text(entry))

    @catalog.command(help=say("列出编制中的条目", "List working copies"))
    def drafts(data: Data, as_json: Json = False) -> None:
        with told_errors(as_json):
            from yidao.node.cli.connection import connect

            with connect(data) as client:
                found = list(client.working_copies())
            columns = [say("代码", "code"), say("名称", "title"), say("状态", "state")]
            rows = [[e.code, e.resource.title, e.state.value] for e in found]
            answer(as_json, {"entries": [entry_facts(e) for e in found]}, table(columns, rows))

    @catalog.command(help=say("导出目录 (DCAT 3, JSON-LD)", "Export the catalog as DCAT 3"))
    def export(
        data: Data,
        to: Annotated[Path, typer.Argument(help=say("写入的文件", "The file to write"))],
        format: Annotated[  # noqa: A002 - the option's name
            str, typer.Option(help=say("格式: dcat", "Format: dcat"))
        ] = "dcat",
        as_json: Json = False,
    ) -> None:
        if format != "dcat":
            raise typer.BadParameter(say("只支持 dcat", "dcat is the only format"))
        with told_errors(as_json):
            from yidao.node.cli.connection import connect
            from yidao.node.cli.files import write_file

            with connect(data) as client:
                document = client.export_dcat()
            write_file(to, document)
            answer(
                as_json,
                {"file": str(to), "bytes": len(document)},
                say(f"已写入 {to}", f"Written to {to}"),
            )


def draft_facts(made: "CatalogDraft") -> dict[str, Any]:
    """A saved draft as plain values."""
    return {
        "code": made.code,
        "version": made.version,
        "faults": [
            {"field": each.field, "code": each.code, "zh": each.zh, "en": each.en}
            for each in made.faults
        ],
        "position": made.position.position,
    }


def draft_text(made: "CatalogDraft") -> str:
    """A saved draft for people, with what it lacks."""
    lines = [say(f"已保存草稿: {made.code}", f"Draft saved: {made.code}")]
    lines += [f"  {each.zh if LANGUAGE == 'zh' else each.en}" for each in made.faults]
    return "\n".join(lines)


def entry_facts(entry: "CatalogEntry") -> dict[str, Any]:
    """An entry as plain values."""
    from dataclasses import asdict

    facts = asdict(entry)
    facts["state"] = entry.state.value
    return facts


def facet_facts(page: "CatalogPage") -> dict[str, dict[str, int]]:
    """The counts of a page by facet and value."""
    facts: dict[str, dict[str, int]] = {}
    for each in page.facets:
        facts.setdefault(each.facet, {})[each.value] = each.count
    return facts


def entry_text(entry: "CatalogEntry") -> str:
    """An entry for people: its state, then the core items that are filled in."""
    from yidao.catalog.resourcecheck import LABELS, SHARE_TYPES

    resource = entry.resource
    share = SHARE_TYPES[str(resource.share_type.value)]
    lines = [
        f"{entry.code}  v{entry.version}  {entry.state.value}  {entry.owner_path}",
        say(share.zh, share.en),
    ]
    for name, label in LABELS.items():
        value = getattr(resource, name)
        if isinstance(value, str) and value:
            lines.append(f"{say(label.zh, label.en)}: {value}")
    lines += [f"  {item.name}  {item.title}  {item.type}  {item.grade}" for item in resource.items]
    if entry.reason:
        lines.append(f"{say('理由', 'Reason')}: {entry.reason}")
    return "\n".join(lines)
