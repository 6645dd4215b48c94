"""The only code that touches the outside: database, engine, experiment tracking, language model, messages.

Belongs here: connections, transactions, bulk transfer, server lifecycles. Does not: any decision about customers.
"""
