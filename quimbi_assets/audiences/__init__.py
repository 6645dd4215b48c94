"""Who: customers chosen by a filter, and audiences, which are filters with a name.

Belongs here: the filter language, what it can speak of, the built-in audiences, the file of a project's own. Does not:
running a query (``resources.postgres.tables.customers``), what is done with a list (``exports``).
"""
