"""The catalog: data standards, the checks they ask for, and the totals they define.

A *pack* is a data standard as data. It is published downward, chosen by the
first day of the period that a return is about, and says everything that this
package does with a return:

- `pack` reads packs and keeps their versions; `validate` checks a row against
  a form (types and codes by JSON Schema, relations by CEL rules over exact
  integers) and reports all faults at once, in Chinese and English;
- `rows` gives a row its canonical bytes and fills in computed fields;
- `rollup` adds rows up so that they can be taken back, and `indicator` forms
  ratios from totals, never from other ratios;
- `numbers`, `codes`, `calendar` and `region` know decimals, check digits,
  reporting periods and the division tree with its dated changes.

All of it is pure: bytes and values in, bytes and values out. The caller reads
files, knows the day, and hands both in. Import from the modules that define a
name; this package itself exports nothing, so importing one part never loads
another.
"""
