"""Returns: handed in by units, judged at the origin, accepted or returned by its parent.

Object `return/<pack>/<form>/<period>/<unit>`, owned by the node that hosts the
unit. Every payload that is handed in is a version; refused ones count too, all
stay. The states of a version stand in `rules.TRANSITIONS`.

| kind | channel | by | effect on the version |
|---|---|---|---|
| `reporting.return.submitted` | `up:15` | origin | exists, submitted |
| `reporting.return.refused` | `local` | origin | exists, refused; holds the row and its faults |
| `reporting.ledger.recorded` | `local` | origin | exists, recorded (forms that stay here) |
| `reporting.return.doubted` | `local` | parent's decider | doubtful: can only be returned |
| `reporting.return.accepted` | `up:15` | parent | accepted; older ones superseded; parts go on up |
| `reporting.return.returned` | `up:15` | parent | returned, with the reason |
| `reporting.return.withdrawn` | `up:15` | origin | withdrawn, with the reason; counts no longer |
| `reporting.review.notified` | `to:<origin>` | parent | tells the origin, many verdicts at a time |

A withdrawal and a verdict are written by two nodes and may cross: then the
verdict holds at every tier, whichever of the two comes first, and the view
still shows who wanted to withdraw and why. The parent writes no verdict on
what it has seen withdrawn.

The `core` part of a return is the row of the form, canonical JSON with the
computed fields, released when accepted; personal fields are the part `pii`
(one tier up), an attached file is `file:1` (one tier up). So tiers above the
parent know that a return was submitted, when and by whom, and see its figures
once it is accepted. Roll-ups count every return from its header and sum the
rows that are here; `submitted` and `accepted` stand apart.
"""
