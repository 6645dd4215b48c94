"""The embedded server: its files, its process, and who uses it; nothing outside but ``database`` opens this folder."""
