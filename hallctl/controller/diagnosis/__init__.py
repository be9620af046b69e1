"""Finding out: what the daemon, its ports and its devices say when somebody asks why nothing works."""
