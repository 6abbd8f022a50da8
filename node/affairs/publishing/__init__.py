"""What programs publish: records of their own kinds, which no other affair reads.

A record `app.<program>.<what>` is sealed, carried, received and proved like every other.
Its state is its own business: no projector folds it, no decider answers it. It is read by
following the node, by its id, or out of evidence.
"""
