"""An organisation's move to another supplier: all its data, exported to one file and imported elsewhere."""
