"""The sheets that a reader opens first: Home, Guide, Model."""
