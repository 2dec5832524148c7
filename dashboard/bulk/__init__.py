"""A spreadsheet on the prediction page: the wizard, and what it found."""
