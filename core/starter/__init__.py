"""The model that is there before any training."""
