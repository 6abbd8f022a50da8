"""The clerk's desk: pages for people, served on the loopback interface.

The console is a process of its own and a client of the local API (ADR 0021): it
holds no key and opens no store, and what a person may do is decided by the node,
call by call, from the session token that goes with each call. The token stays in
this process; a browser holds a random cookie and nothing else.

    app       puts routes, pages and the server together
    session   who sits at which browser
    visit     one page view: its session, its words, its questions to the node
    drafts    what was typed and not handed in yet
    routes    what is not a page: sign-in, sign-out, language, files
    pages/    one page an affair
    widgets/  what pages are made of
    words/    every text, in Chinese and English
"""
