"""Two texts side by side, and the screws that change what the model does with the second."""
