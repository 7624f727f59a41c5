"""An organisation's move to another supplier: all that it has here in one file, taken in elsewhere."""
