"""A trained model at work: on texts, on a split, on a table."""
