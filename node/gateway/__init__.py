"""The REST gateway: the calls of the local API for programs that speak HTTP and JSON.

It is a client of the node like any other (docs/adr/0021): it opens the node's
socket, shows the caller's own session with each call, and decides nothing. It
holds no key and no state; what it may do is what the caller's session may do.

    yidao gateway --data county
    yidao gateway --openapi          # the description of all calls, OpenAPI 3.1

Everything stands below `/api/v1`. Figures are decimal strings, bytes are
hexadecimal, times are Unix milliseconds, pages go on from `next` by `after`.
Every error is problem details (RFC 9457) with a stable `code`.
"""
