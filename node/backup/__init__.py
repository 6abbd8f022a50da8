"""Backups: store, keys and settings of one node in one encrypted, signed file.

`sealing` is the file's form, `making` writes one of a node that may be running,
`restoring` checks one and unpacks it. A restored node never goes on where the
backup ends: it starts fenced and opens a new epoch (`yidao.node.recovery`).
"""
