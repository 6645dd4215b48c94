"""What is served over HTTP: pages of stores and customers, lists to take away.

Belongs here: routes, what they answer and to whom. Does not: what pages say (``page``), the tables (``resources``).
"""
