"""The words of the trade, and the headings that link to them."""
