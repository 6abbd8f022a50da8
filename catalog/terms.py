"""What of an entry can be searched for, and what a search asks for.

Chinese is written without blanks, so a text is indexed by all of its runs of
one, two and three characters. A term of up to three characters is then found
exactly, wherever it stands; a longer one is found where all of its runs of
three stand in one entry. Nothing of a search is an operator: every sign counts
as itself.
"""

import unicodedata
from typing import Final

from yidao.catalog.errors import SearchInvalid
from yidao.catalog.resource import Resource

MAX_QUERY_CHARACTERS: Final = 200
MAX_TERMS: Final = 16
_LONGEST: Final = 3
_MAX_INDEXED_CHARACTERS: Final = 4_000


def normalised(text: str) -> str:
    """Fold width, case and blanks, so that ＥＮＥＲＧＹ finds energy; controls become blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    shown = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in folded)
    return " ".join(shown.split())


def grams(text: str) -> set[str]:
    """Give all runs of one to three characters of a normalised text's words."""
    found: set[str] = set()
    for word in text.split():
        for size in range(1, _LONGEST + 1):
            found.update(word[at : at + size] for at in range(len(word) - size + 1))
    return found


def title_grams(resource: Resource) -> set[str]:
    """Give the runs of an entry's title."""
    return grams(normalised(resource.title))


def entry_grams(resource: Resource) -> set[str]:
    """Give the runs of everything in an entry that can be searched for."""
    texts = (
        resource.title,
        resource.code,
        resource.provider_name,
        resource.provider_uscc,
        resource.description,
        resource.theme,
        *(f"{item.title} {item.name}" for item in resource.items),
        *resource.extra.values(),
    )
    # Each text apart: a run that spans two of them stands in neither.
    return grams(normalised("\n".join(texts))[:_MAX_INDEXED_CHARACTERS])


def query_grams(query: str) -> frozenset[str]:
    """Give the runs that an entry must hold to be found; none for an empty query.

    Raises:
        SearchInvalid: Over 200 characters or 16 terms.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise SearchInvalid(field="query", limit=MAX_QUERY_CHARACTERS)
    terms = normalised(query).split()
    if len(terms) > MAX_TERMS:
        raise SearchInvalid(field="query", limit=MAX_TERMS)
    found: set[str] = set()
    for term in terms:
        size = min(len(term), _LONGEST)
        found.update(term[at : at + size] for at in range(len(term) - size + 1))
    return frozenset(found)
