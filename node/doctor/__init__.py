"""Finds out why a node does not do its work: every check is one question with one answer.

A check raises the typed error that a person would meet; the doctor collects
them, so that the cause and the next step are worded once, in the messages.
"""
