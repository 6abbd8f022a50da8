"""Faults of a return, all at once: where, what, and by which rule."""

from collections.abc import Callable, Mapping, Sequence

from yidao.node.client import RowFault
from yidao.node.console.widgets.html import Tag, link
from yidao.node.console.words import Words


def fault_list(
    words: Words,
    faults: Sequence[RowFault],
    labels: Mapping[str, str],
    target: Callable[[str], str] | None = None,
) -> None:
    """Draw the list; `target` gives the address of a field, where the faults are beside a form."""
    if not faults:
        return
    Tag("p", words("faults.count", count=len(faults)), classes="count")
    with Tag("ul", classes="faults"):
        for fault in faults:
            with Tag("li", classes=fault.severity):
                Tag(
                    "span", words.named("faults", fault.severity), classes=f"badge {fault.severity}"
                )
                label = labels.get(fault.field, fault.field)
                if target is not None and fault.field:
                    link(label, target(fault.field))
                elif label:
                    Tag("strong", label)
                Tag("span", fault_text(words, fault))


def fault_text(words: Words, fault: RowFault) -> str:
    """Say a fault in the reader's language, with the rule that it is about."""
    text = fault.zh if words.language == "zh" else fault.en
    return words("faults.text", text=text, rule=fault.rule or fault.code)
