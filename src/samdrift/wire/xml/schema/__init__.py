"""Validation of XML as data: tables of elements and tables of rules, and what walks them.

The formats that the published schemas and Schematron files describe are checked
here against tables in our own words, without an XSD or XSLT processor: a
message is checked four times on its way, and 30 MB of attachments must not be
copied by it. That the tables say what the published files say is held by the
differential tests; where they do not, ``docs/differences.py`` says so.
"""
