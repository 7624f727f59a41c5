"""The demonstration: a federation and two operators on this machine, with invented people and cases."""
