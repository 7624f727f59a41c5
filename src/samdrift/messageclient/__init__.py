"""Message client (role MK): an organisation's own store of messages, and the pages to read and write them."""
