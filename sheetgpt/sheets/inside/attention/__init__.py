"""The sheet Attention: a head's pattern and its block (`page.py`), all heads (`heads.py`), its words (`words.py`)."""
