"""What `sheetgpt` takes from the command line and prints: a module a command. `sheetgpt.cli` puts them together."""
