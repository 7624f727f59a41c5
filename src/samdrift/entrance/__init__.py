"""Sign-in of people to every role that has pages.

Each organisation has its own origin, its own sign-in, and sessions stored in its vault.
"""
