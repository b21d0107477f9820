"""Text to token ids and back: the tokenizer, and the mirrors of the sheets that do it in formulas."""
