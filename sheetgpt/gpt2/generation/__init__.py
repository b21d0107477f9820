"""From a prompt to its continuation, a token at a time."""
