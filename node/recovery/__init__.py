"""What becomes of a node that was restored, rolled back, cloned or forked.

`witness` remembers outside of the database how far the store was; `warden` holds
the standing (`yidao.sync.fencing`), hears what the neighbours hold and opens the
new epoch; `findings` shows what was found; `incidents` makes known above what happened,
and what proves it.
"""
