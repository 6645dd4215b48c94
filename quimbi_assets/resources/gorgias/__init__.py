"""Gorgias: requests to its API (``client``), and its tickets brought here whole whatever happens (``puller``)."""
