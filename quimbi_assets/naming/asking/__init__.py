"""Names asked of Claude: what it is told, what it may answer, and the tests an answer must pass.

Reading order: ``brief`` puts an axis into numbers and words of our own, never a customer's or a store's; ``prompt`` is
the text around it and ``answers`` the shape of what comes back; ``plain_text``, ``name_form``, ``numbers``,
``directions`` (put together in ``house_tests``) and ``matching`` are the tests; ``conversation`` asks, tests, has
failures repaired once and says what passed; ``decision`` settles who names which segment. Nothing here touches a
network: ``resources.claude`` does.
"""
