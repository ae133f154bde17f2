"""The generated world of the preset `mini`. README.md says how a class is drawn."""
