"""DIGG's test bed for access points (accesspoint-test-cases): peers that behave well or badly on purpose.

It sees an access point under test from outside only: over AS4 as other access
points do, and over interface C as an organisation's message service does.
"""
