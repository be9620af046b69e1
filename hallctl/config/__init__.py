"""The two documents of configuration, and loading them with the file and line of every mistake."""
