"""What the evaluation page is made of: a file a section, and the reviews that all of them lead to."""
