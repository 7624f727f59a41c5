"""Whether a certificate is trusted: pure decisions over a policy, supplied evidence and a time.

Nothing here reads a file, asks the network or looks at the clock, so a
decision can be made again later from the same evidence.
"""
