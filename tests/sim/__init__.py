"""A whole tree of nodes in one process, under a seeded scheduler, network and disk.

What runs is the real pure core: records, seals, checkpoints, sessions, lanes,
routing and wire bytes. What is modelled is everything with a side effect: the
store (`model_store` and its other halves), the network and time (`scheduler`), the
program around a session (`sim_node`). One checker (`invariants`) judges the outcome; it knows
nothing of the simulator and serves every kind of test.

A seed decides everything. To replay one, with a log of what happened:

    .venv/bin/python -m tests.sim.run 17 --log
"""
