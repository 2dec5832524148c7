"""Finding the weights: one readable loop, exact checkpoints."""
