"""The entrance to the pages: each organisation's site, sign-in, and the rights of the signed-in person."""
