"""How cells and sheets look: styles, colours by value, charts, lists to choose from."""
