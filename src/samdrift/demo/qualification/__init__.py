"""DIGG's test cases, run by a configured installation against DIGG's own test bed, with their protocol.

The tested installation is reached through its configuration file, and the test bed only over the network.
"""
