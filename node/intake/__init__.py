"""Files that offices already have, read into rows that the standard can judge.

A workbook, a table of text or a meter feed goes in; rows keyed by field names
come out, each with the sheet and line that it stood on. This layer knows the
forms of a pack and nothing of stores, nodes or links.

Two kinds of trouble are kept apart. What is wrong with a *file* (a zip bomb, a
macro, an encoding that cannot be told) is raised as an `IntakeError` when the
file is opened, before the first row is given: a refused file leaves nothing
half-imported. What is wrong with a *row* (a formula that ends in an error, a
missing column, a figure with thousands separators) rides on that row as a
`CellFault`, in Chinese and English, and the other rows go on.

`source` opens any file; `xlsx` and `table` are its two readers; `headers`
finds out which column is which field; `payload` turns texts into typed values;
`sheets` writes templates and marked copies; `meter` adds up quarter-hours.
"""
