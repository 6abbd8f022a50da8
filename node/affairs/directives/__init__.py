"""Directives: down to named nodes, receipts and progress back up, passed on tier by tier.

Object `directive/<issuer's node id>/<number>`, owned by the issuer. Each target
has a state of its own, see `rules.TRANSITIONS`.

| kind | channel | by | effect |
|---|---|---|---|
| `directives.directive.issued` | `down` | issuer | the directive exists; its targets are waiting |
| `….delivered` | `up:15.urgent` | target's decider | the target's store holds it |
| `….acknowledged` (签收) | `up:15.urgent` | a person at the target | |
| `….progressed` | `up:15.urgent` | a person at the target | with a percentage |
| `….completed` | `up:15.urgent` | a person at the target | |
| `….passed_on` | `up:15.urgent` | target | names the directive of its own and that one's targets |

To pass a directive on, a target issues one of its own that names it. Nodes
above never see that one, since it goes down; `passed_on` tells them enough to
draw the tree, and the reports on it reach them like any others.
"""
