"""Decisions on whether a certificate is trusted: pure functions of a policy, supplied evidence and a time.

Nothing here reads a file, uses the network or reads the clock, so a decision can be repeated later from the
same evidence.
"""
