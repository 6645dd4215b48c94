"""PostgreSQL: the embedded server or one given, its databases, bulk transfer, and one module a table of ours.

Belongs here: every SQL statement. Does not: any decision about customers.
"""
