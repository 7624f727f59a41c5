"""JSON Web Tokens and the public keys that they are verified with, read strictly."""
