"""Evidence about one message, without its content, for somebody who trusts nobody here."""
