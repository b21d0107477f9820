"""The network's own sheets: from a token's id to the logits, and every weight."""
