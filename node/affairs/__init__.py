"""What offices do with records: one folder an affair, each with the same six files.

`__init__` tells states, kinds and owners in prose; `records` holds kinds and
typed payloads; `rules` decides purely; `views` holds tables and their projector;
`commands` authorises, decides and appends; `queries` reads.

A projector never fails on what a record says: whatever comes from another node
may be wrong, and a wrong record is a verdict or is passed over, but never
stops the records behind it.
"""
