"""Units: the accountable institutions (名录库), each hosted by one node at a time.

Object `unit/<统一社会信用代码>`, owned by the node that registered it first.

| kind | channel | by | effect |
|---|---|---|---|
| `registry.unit.registered` | `up:15` | the hosting node | the unit exists, or its entry changes |

There is one state, registered; each entry is a version of the object. Rows of a
pack's registry form (the form without periods) become entries through the
reporting affair's `Submit`, which judges them like any other row; so there are
no commands here. An entry of a
unit that another node hosts is not taken over: the unit is marked contested.
"""
