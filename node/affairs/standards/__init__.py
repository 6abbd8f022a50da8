"""Standards (packs): published by the root, in force at every node below it.

Object `pack/<id>`, owned by the root.

| kind | channel | by | effect |
|---|---|---|---|
| `standards.pack.published` | `down.control` | the root | a version of the pack exists |

A version is published once; its validity is told by its own dates, so there is
no other state. The record's `core` part is the exact bytes of the pack, its
schema field `<id>@<version>`. A version that this program cannot read stays in
the table with the reason and is never in force.
"""
