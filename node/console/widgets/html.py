"""Plain HTML elements, as the pages use them.

Real `<label>`, `<select>`, `<table>` and `<button>` elements, because keyboards,
screen readers and small screens know them already. Texts and attributes go to
the browser as data: nothing that a person wrote is ever read as markup.
"""

from collections.abc import Iterable
from typing import Any

from nicegui.elements.mixins.text_element import TextElement

Attribute = str | int | bool | None


class Tag(TextElement):
    """One element: `Tag("a", "首页", href="/due", aria_current="page")`.

    Attribute names are spelled with `_` for `-`, and with one at the end where
    Python has the word (`for_`). `None` and `False` leave an attribute out.
    """

    def __init__(
        self, tag: str, text: str = "", *, classes: str = "", **attributes: Attribute
    ) -> None:
        super().__init__(tag=tag, text=text)
        if not text:
            self._text = None
        if classes:
            self.classes(classes)
        for name, value in attributes.items():
            self.put(name, value)

    def put(self, name: str, value: Attribute) -> None:
        """Set an attribute, or take it away."""
        key = name.rstrip("_")
        key = key.replace("_", "-") if key.islower() else key
        if value is None or value is False:
            self._props.pop(key, None)
        else:
            self._props[key] = value

    def heard(self, event: str, handler: Any, script: str = "() => emit()", **how: Any) -> "Tag":
        """Listen to an event; `script` says in the browser what of it is sent here."""
        self.on(event, handler, js_handler=script, **how)
        return self


def link(text: str, href: str, *, classes: str = "", **attributes: Attribute) -> Tag:
    """A link."""
    return Tag("a", text, classes=classes, href=href, **attributes)


def button(text: str, handler: Any, *, classes: str = "", **attributes: Attribute) -> Tag:
    """A button that does something on this page."""
    made = Tag("button", text, classes=f"button {classes}".strip(), type="button", **attributes)
    return made.heard("click", handler)


def options(choices: Iterable[tuple[str, str]], chosen: str) -> None:
    """Fill the `<select>` that is open with values and their labels."""
    for value, label in choices:
        Tag("option", label, value=value, selected=value == chosen)


def hidden(name: str, value: str) -> Tag:
    """A value that goes along with a form."""
    return Tag("input", type="hidden", name=name, value=value)
