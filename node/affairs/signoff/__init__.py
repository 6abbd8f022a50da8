"""Sign-offs: what a superior receives is signed off by the subordinate's leaders.

| kind | channel | by | effect |
|---|---|---|---|
| `signoff.policy.proposed` | `up:15` | a node | a policy exists (see `yidao.sync.signoff`) |
| `signoff.policy.confirmed` | `up:15` | the node | it is in force, if another person says so |
| `signoff.batch.signed` | `up:15` | the node | its returns are signed off |
| `signoff.policy.filed` | `up:15` | its parent | that root policy of a child is believed here |
| `signoff.demand.set` | `down` | its parent | returns of a form need a signature, or no longer do |

A node's policies, returns and batches are in one journal, so every tier folds them in
one order and comes to the same verdicts. A batch costs one root and k signatures,
however many returns it holds. What is wrong in one is a verdict in the views and a
problem; nothing of it is believed, and the journal goes on.

A demand concerns what the parent accepts from then on: an acceptance of a return that
is not signed off, under a policy that descends from one that was filed, is refused.
"""
