"""One module a table, or a few that are written together: its SQL, writing and reading."""
