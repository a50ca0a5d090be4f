"""From tissue to signal and back: signal model, dictionary, matching, maps."""
