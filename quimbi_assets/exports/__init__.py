"""Lists of customers on their way out: what a row, a profile or a message looks like where it goes.

Belongs here: the shapes that Klaviyo asks for. Does not: who is on a list
(``audiences``), reading, writing or sending anything (``resources.exports``).
"""
