"""MLflow: runs, registered models, and what is recorded of each; the only code that imports it."""
