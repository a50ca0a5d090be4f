"""What tissue would give, and back: signal model, dictionary, matching, maps."""
