"""Pure wire formats: bytes to frozen types and back.

No input or output, no clock, no randomness of its own, no logging. What a
function needs of those it is given as an argument.
"""
