"""Bundles: what a link would carry between two neighbours, as a signed and encrypted file.

A node without a line takes part like any other: the same sealed bytes, the
same receipts and cursors, carried by a person. Whether a neighbour is reached
by a line or by a file may change at any time, since both move the same cursors.
"""
