"""GPT-2 itself: configuration, checkpoint, forward pass, sampling; no spreadsheet."""
