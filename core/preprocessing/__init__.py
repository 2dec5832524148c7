"""Text to token ids: cleaning, vocabularies and encoders, batches."""
