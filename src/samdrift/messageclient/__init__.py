"""Role MK: the organisation's own store of its messages, and where its people read and write them."""
