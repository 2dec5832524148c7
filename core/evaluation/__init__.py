"""Arrays in, numbers out; knows no run."""
