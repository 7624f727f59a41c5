"""Pure wire formats: bytes to frozen types and back.

No input or output, no clock, no randomness of its own, no logging: a function receives whatever it needs of
these as an argument.
"""
