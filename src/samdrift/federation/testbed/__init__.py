"""DIGG's test bed for access points (accesspoint-test-cases), with peers that behave correctly or wrongly.

It accesses an access point under test only from outside: over AS4 as other access points do, and over
interface C as an organisation's message service does.
"""
