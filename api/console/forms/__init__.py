"""The console's forms: what may be typed into them, and proof of where they come from."""
