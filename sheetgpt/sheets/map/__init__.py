"""The sheet Map: the whole network on one screen, live."""
