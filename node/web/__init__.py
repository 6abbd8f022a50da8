"""What every HTTP server of ours checks, and how it is started: for console and gateway alike.

    app = Guard(app, rules=Rules(hosts=hosts_of("127.0.0.1:7390"), csp=NO_PAGES))
    serve(app, Listen(host="127.0.0.1", port=7390))

The checks stand before the application and know nothing of it; who a caller is
and what they may do is decided by the daemon (docs/adr/0021).
"""
