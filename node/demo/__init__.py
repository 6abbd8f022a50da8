"""The demonstration: a small tree of real daemons and the sample data that runs through it.

All data here are samples. `samples` makes them from a fixed seed around
published benchmarks; `data/SOURCES.md` says where the meter feed comes from.
"""
