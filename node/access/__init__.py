"""Who may do what at this node, decided here and nowhere else.

Pure rules: `roles` says what a role allows and which roles exclude each other;
`calls` says for every RPC of the local API which permission it needs, whether
it is audited, and what a session of one institution may ask of it;
`passwords` and `lockout` say what is accepted. `caller` is who acts.

Working state, in tables of no projector: `account`, `password_history` and
`access_session` (`tables`). What happened is a record of the `local` journal,
folded into `audit_entry` (`audit`); it has no switch. `service` puts them together;
`node/api/guard.py` asks it before every call.

A caller without a session is the account that owns the socket (ADR 0014, 0025).
"""
