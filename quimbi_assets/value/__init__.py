"""What customers are going to order and spend, foretold from the store's own past.

A customer's orders, their age and what they spent go into two models of the literature: how often they order and
whether they have left (MBG/NBD), and what an order of theirs is worth (gamma-gamma). What both expect is mixed with
what the customer did of late, and its level set, as fits the windows of history before best. Tested on the last ones
so, it is published where it beats two simple figures in error and in rank.

Reading order: ``mbg_nbd`` and ``gamma_gamma`` are the models, ``model`` what is saved, with interval and date;
``windows`` are customers at past instants and what they did next, ``evaluation`` the test and the whole of it.
"""
