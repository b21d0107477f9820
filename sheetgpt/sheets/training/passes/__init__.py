"""A training step's passes through the network: forward, loss, backward, gradient."""
