"""The command line: main.py and one file a command. It parses, calls the room that does the work, and prints."""
