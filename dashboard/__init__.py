"""What the pages share; imports core, never pages."""
