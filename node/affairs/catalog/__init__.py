"""The catalog: what an office holds, who answers for it, and who may have it.

Object `resource/<信息资源代码>`, owned by the node that published the code first.

| kind | channel | by | effect |
|---|---|---|---|
| `catalog.code.issued` | `local` | a person | the code is taken at this node |
| `catalog.entry.drafted` | `local` | a person | a working copy exists, or has another text |
| `catalog.entry.submitted` | `local` | a person | it waits for a second pair of eyes |
| `catalog.entry.reviewed` | `local` | another person | it may be published |
| `catalog.entry.sent_back` | `local` | a person | it is a draft again, with the reason |
| `catalog.entry.published` | `up:15` | a person | a version of the entry; the copy is done with |
| `catalog.entry.withdrawn` | `up:15` | a person | the entry is a tombstone, with the reason |

Whoever submits a copy cannot review it. What is published travels to the root,
so each node holds the merged catalog of its subtree. A published entry stays as
it is while its next version is being drafted; a withdrawn one may be published
again. Another node's entry under a code that is taken is not taken over: the
entry is marked contested.
"""
