"""The console's forms: their valid values, and the proof of their origin."""
