"""What waits for a leader's signature and what is signed off; files for approvers, down and up."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from yidao.node.client import SignoffBatch, SignoffPolicy, SignoffStanding, SignoffWaiting
from yidao.node.console.visit import Visit, address
from yidao.node.console.widgets.html import Tag, button, link
from yidao.node.console.widgets.names import FormNames
from yidao.node.console.widgets.tables import badge, table

# The file goes up by itself; then the page hears under which id it lies.
_UPLOAD = "() => yidao.upload(document.getElementById('file'), 'sent', (sent) => emit(sent))"
# Far more than any signature file; what is larger is none.
_MAX_SIGNATURE_BYTES = 256 * 1024


@dataclass(slots=True, kw_only=True)
class _Signed:
    """The signature files that were picked on one open page."""

    visit: Visit
    said: Tag
    files: list[bytes] = field(default_factory=list)


async def draw(visit: Visit) -> None:
    """Draw what waits, the way of the files, what is signed, and who may sign."""
    words = visit.words
    names = await visit.ask(lambda client: FormNames.of(visit.console.packs(client), words))
    found = await visit.ask(lambda client: client.signoff())
    if any(each.path == visit.console.path for each in found.policies):
        _draw_waiting(visit, names, found.waiting)
        _draw_handing_in(visit)
    else:
        Tag("p", words("sign_off.nobody"), classes="card empty")
        if found.waiting:
            _draw_waiting(visit, names, found.waiting)
    _draw_batches(visit, names, found.batches)
    _draw_refused(visit, found)
    _draw_policies(visit, found.policies)


def _draw_waiting(visit: Visit, names: FormNames, rows: tuple[SignoffWaiting, ...]) -> None:
    words = visit.words
    if not rows:
        Tag("p", words("sign_off.none"), classes="card empty")
        return
    headings = [words(f"sign_off.{each}") for each in ("node", "form", "period", "count", "file")]
    with table(words("sign_off.waiting"), headings, numeric=frozenset({3})) as row:
        for each in rows:
            row(
                each.path,
                names.form(each.pack, each.form),
                each.period,
                str(each.returns),
                lambda each=each: _download(visit, each),
            )


def _download(visit: Visit, each: SignoffWaiting) -> None:
    if each.path != visit.console.path:
        badge(visit.words("sign_off.elsewhere"), "submitted")
        return
    where = address("/files/sign-off", pack=each.pack, form=each.form, period=each.period)
    link(visit.words("sign_off.download"), where, classes="button", download="")


def _draw_handing_in(visit: Visit) -> None:
    words = visit.words
    with Tag("form", classes="card stack", autocomplete="off") as form:
        Tag("label", words("sign_off.signature"), for_="file")
        Tag("input", id="file", type="file", accept=".sig", aria_describedby="file-help")
        Tag("p", words("sign_off.help"), classes="help", id="file-help")
        Tag("progress", id="sent", classes="idle", max=1, aria_label=words("sign_off.sent"))
        doing = Tag("div", classes="doing")
        signed = _Signed(visit=visit, said=Tag("p", classes="help", role="status", id="picked"))

    async def take(sent: dict[str, Any]) -> None:
        _keep(signed, sent)

    async def submit() -> None:
        files = list(signed.files)
        actor = visit.session.actor
        await visit.ask(lambda client: client.submit_signoff(actor=actor, files=files))
        signed.files.clear()
        signed.said.set_text("")
        visit.tell("done", words("sign_off.done"))

    with doing:
        add = Tag("button", words("sign_off.add"), classes="button", type="button", id="add")
        add.heard("click", visit.taking(take), _UPLOAD)
        button(words("sign_off.hand_in"), visit.acting(submit), classes="main", id="hand-in")
    form.heard("submit.prevent", None, "() => {}")


def _keep(signed: _Signed, sent: dict[str, Any]) -> None:
    """Take an uploaded file in hand; it is judged when all are handed in."""
    visit, words = signed.visit, signed.visit.words
    held = None
    if sent.get("status") == 200:
        file_id = str(orjson.loads(str(sent.get("body", "{}"))).get("id", ""))
        held = visit.console.folder.find(file_id, owner=visit.session.key)
    if held is None or held.path.stat().st_size > _MAX_SIGNATURE_BYTES:
        visit.tell("error", words("sign_off.not_taken"))
        return
    signed.files.append(held.path.read_bytes())
    signed.said.set_text(words("sign_off.picked", count=len(signed.files)))


def _draw_batches(visit: Visit, names: FormNames, rows: tuple[SignoffBatch, ...]) -> None:
    words = visit.words
    if not rows:
        return
    headings = [
        words(f"sign_off.{each}") for each in ("node", "form", "period", "count", "signers", "need")
    ]
    with table(words("sign_off.signed"), headings, numeric=frozenset({3})) as row:
        for each in rows:
            row(
                each.path,
                names.form(each.pack, each.form),
                each.period,
                str(each.returns),
                ", ".join(f"{one.name} ({one.actor})" for one in each.signers),
                f"{each.threshold}/{each.approvers}",
            )


def _draw_refused(visit: Visit, found: SignoffStanding) -> None:
    words = visit.words
    if not found.refused:
        return
    headings = [words(f"sign_off.{each}") for each in ("node", "code")]
    with table(words("sign_off.refused"), headings) as row:
        for each in found.refused:
            row(each.path, each.code)


def _draw_policies(visit: Visit, rows: tuple[SignoffPolicy, ...]) -> None:
    words = visit.words
    if not rows:
        return
    headings = [
        words(f"sign_off.{each}")
        for each in ("node", "scope", "need", "people", "policy_state", "filed")
    ]
    with table(words("sign_off.policies"), headings) as row:
        for each in rows:
            state = "reset" if each.is_reset and each.state == "in_force" else each.state
            row(
                each.path,
                each.scope or words("sign_off.every_form"),
                f"{each.threshold}/{len(each.approvers)}",
                ", ".join(f"{one.name} ({one.actor})" for one in each.approvers),
                words.named("sign_off", f"state_{state}"),
                each.filed_by or words("sign_off.not_filed"),
            )
