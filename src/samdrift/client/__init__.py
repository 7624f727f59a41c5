"""Client library for interface D, for systems that send and fetch messages over DIGG's API MT/MK.

It works with any message service that offers the API as published; paging and events are Samdrift's additions
to it. Start with :class:`~samdrift.client.mailbox.Mailbox`.
"""
