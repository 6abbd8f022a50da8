"""Questions about the rows of a resource: a small typed language, and its exact evaluation.

`conditions` reads which rows are meant, `question` the whole question as it is
signed, `columns` says what may be asked of a form, `plan` checks one against
the other and evaluates rows, `groups` adds up without rounding, `pages` is the
answer as it travels. Nothing here knows where rows come from.
"""
