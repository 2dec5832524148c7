"""Charts that need no screen: the app draws them, and so does a report without one. Calls no ``st.*``."""
