"""Evidence about one message, without its content, for a verifier who trusts none of its parties."""
