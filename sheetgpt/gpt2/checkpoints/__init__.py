"""Checkpoints: found, fetched, loaded, made smaller, saved."""
