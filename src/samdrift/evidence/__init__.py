"""Evidence about one message, without its content, for a verifier who trusts no party to it."""
