"""The commands, a module a theme. Nothing heavy is imported before one runs."""
