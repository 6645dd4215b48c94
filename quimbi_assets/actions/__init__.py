"""What to do about whom: rules as data, and what follows from them for a customer.

Belongs here: the file of rules, which of several rules that speak of a customer is heard, why a rule fires and what is
wanting where it does not, what can never fire. Does not: the language of conditions (``audiences``), evaluating them
(``resources.postgres.tables.actions``), doing anything.
"""
