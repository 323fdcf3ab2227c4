"""Arrays of a file to their places in the params tree."""
