"""Sharing: rows of a resource are asked for where they are, and given as their owner decides.

A resource of the catalog names a form; its rows are the current versions of
the owner's own returns of that form: the newest of each unit and period that
is accepted, submitted or recorded. Nobody else's rows are in an answer, so that the
answers of many nodes never count a row twice.

The owner decides by the asker's signature, and nodes between decide nothing:
an ancestor is answered as the share type says (无条件共享: always; 有条件共享: with a
purpose; 不予共享: never). Fields of grade 3 and 4 and personal fields are masked, and
nothing may depend on them.

| kind | channel | by | effect |
|---|---|---|---|
| `sharing.question.answered` | `local` | owner | who asked what, and what was given |

It is durable before the first page leaves.

The record's id follows from the question's, so that a captured question is not
answered a second time, over a restart neither. There is no view of its own:
the journal is the audit trail.
"""
