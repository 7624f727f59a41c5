"""Client library of interface D: for a system that sends and fetches messages over DIGG's API MT/MK.

Works with any message service that offers the API as published; paging and
events are Samdrift's additions to it. :class:`~samdrift.client.mailbox.Mailbox`
is where to begin.
"""
