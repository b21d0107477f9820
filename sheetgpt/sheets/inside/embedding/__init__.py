"""The sheet Embedding: words (`words.py`), their neighbours (`page.py`), a map of the commonest tokens (`map.py`)."""
