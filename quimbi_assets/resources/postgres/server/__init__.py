"""The embedded server: its life, and its files; nothing outside but ``database`` opens this folder."""
