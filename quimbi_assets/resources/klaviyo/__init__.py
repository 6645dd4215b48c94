"""Klaviyo: requests to its API (``client``), and a list brought there whole whatever happens (``sender``)."""
