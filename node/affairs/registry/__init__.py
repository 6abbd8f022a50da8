"""Units: the accountable institutions (名录库), each hosted by one node at a time.

Object `unit/<统一社会信用代码>`, owned by the node that registered it first.

| kind | channel | by | effect |
|---|---|---|---|
| `registry.unit.registered` | `up:15` | the host | the unit exists, or its entry changes |
| `registry.unit.handed-over` | `up:15` | the host | the unit waits for another node |

A unit is registered, or handed over and not yet taken; then nobody hosts it, and the
entry of the node that it was handed to takes it. So does the entry of a node that was
enrolled in its host's place. Each entry is a version of the object. Rows of a
pack's registry form (the form without periods) become entries through the
reporting affair's `Submit`, which judges them like any other row. Any other entry
of a unit that another node hosts is not taken over: it is kept as a claim, and the
unit is marked contested. In whatever order hand-over and entry come, the outcome is
the same.
"""
