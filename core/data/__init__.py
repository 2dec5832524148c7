"""Where labelled reviews come from, and strangers' tables."""
