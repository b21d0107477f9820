"""Between text and ids: the sheets of the tokenizer."""
