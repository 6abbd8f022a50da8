"""Packs: data standards as data, in versions that are in force on certain days.

`model` says what a pack holds; `loader` reads one from its exact bytes and
refuses whatever it does not fully understand; `versions` chooses the version
for a period; `language` and `rules` turn the relations between fields into
compiled CEL programs. A pack is published downward as records and its digest
stands in the header of every record that was made under it, so the exact
bytes are kept and are the only thing that is hashed.
"""
