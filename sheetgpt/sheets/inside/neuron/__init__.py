"""The sheet Neuron: the neuron that is chosen (`chosen.py`), and the tables and the page (`page.py`)."""
