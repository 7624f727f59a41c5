"""DIGG's test cases, run by a configured installation against DIGG's own test bed, with the protocol to send.

Everything that is ours is reached through the configuration file; the test bed by the network alone.
"""
