"""What Gorgias takes: Customer Fields that its rules can ask for, a card beside the ticket, and rules to begin with.

Belongs here: shapes of its API. Does not: who is told what (``resources.postgres.tables.fields``), requests
(``resources.gorgias``).

References: developers.gorgias.com, *Create a custom field*, *Create an integration*, *Create integrations and widgets
programmatically*; docs.gorgias.com, *Rule glossary* (rules ask for Customer Fields, not for customer data).
"""

from typing import Any

from quimbi_assets.marketing.groups import GROUPINGS

PREFIX = "quimbi_"
RISKS = {"low": 0.0, "medium": 0.3, "high": 0.6}
"""Words for the chance to stay away, and where each begins."""
FIELDS = {
    "lifecycle": tuple(GROUPINGS["lifecycle"]),
    "value_tier": tuple(GROUPINGS["value_tier"]),
    "risk": tuple(RISKS),
}
"""Fields that are always told, and what they can be."""
QUEUE = "queue"
"""A field that is told on demand: who answers them, by the project's rules."""
CARD = ("who", "silence", "orders", "returns", "support", "do", "rules", "risk")
"""Lines of the card, as ``page.card`` has them."""
CARD_NAME, CALL_NAME = "quimbi: who writes", "quimbi: what has changed"
"""Of the integrations: what they are known by when they are to be made or taken away."""
RULES = """\
1. Much at stake
   WHEN Ticket Updated
   IF   Customer Field quimbi_value_tier is top AND Customer Field quimbi_risk is high
        AND Ticket tags does not contain any of "retention"
   THEN Add ticket tags "retention", Set priority high, Assign team "Retention"
2. Valuable and dissatisfied
   WHEN Satisfaction Survey Responded
   IF   Customer Field quimbi_value_tier is top AND Satisfaction survey score is 2 or less
   THEN Open ticket, Set priority high, Assign team "Senior"
3. New here
   WHEN Ticket Updated
   IF   Customer Field quimbi_lifecycle is new AND Ticket tags does not contain any of "first order"
   THEN Add ticket tags "first order", Apply macro "Welcome\""""
"""Ready to be put together under Settings > Rules: how a rule's code (POST /api/rules) asks for a Customer Field is not
documented.

By *Ticket Updated*, which includes that it was created and that its customer changed: who writes for the first time has
fields only after the next pull and push. It comes again and again, so each rule of it leaves a tag that stops it. All
conditions of a rule must hold: whether OR binds before AND, the glossary does not say."""


def field_of(name: str) -> dict[str, Any]:
    """Return the body that makes a field: a list to choose from where all it can be is known, else text."""
    choices = FIELDS.get(name)
    settings: dict[str, Any] = {"input_type": "input"}
    if choices is not None:
        settings = {"input_type": "dropdown", "choices": list(choices)}
    definition = {"data_type": "text", "input_settings": settings}
    return {"object_type": "Customer", "label": PREFIX + name, "required": False, "definition": definition}


def card_integration(url: str, token: str) -> dict[str, Any]:
    """Return the body that has Gorgias ask for the card whenever a ticket is created or changes."""
    address = f"{url.rstrip('/')}/v1/gorgias/card?email={{{{ticket.customer.email}}}}"
    return _integration(CARD_NAME, token, {"url": address, "method": "GET"}, is_told_of_messages=False)


def call_integration(url: str, token: str) -> dict[str, Any]:
    """Return the body that has Gorgias call whenever a ticket is created, changes or is written in.

    The token is the secret that the two share: Gorgias signs nothing. Which ticket it is, is for who reads Gorgias's
    own list of calls; nobody's name or words are sent.
    """
    asks = {"url": f"{url.rstrip('/')}/v1/gorgias/webhook", "method": "POST", "form": {"ticket_id": "{{ticket.id}}"}}
    return _integration(CALL_NAME, token, asks, is_told_of_messages=True)


def _integration(name: str, token: str, asks: dict[str, Any], *, is_told_of_messages: bool) -> dict[str, Any]:
    triggers = {"ticket-created": True, "ticket-updated": True, "ticket-message-created": is_told_of_messages}
    types = dict.fromkeys(("request_content_type", "response_content_type"), "application/json")
    headers = {"Authorization": f"Bearer {token}"}
    return {"type": "http", "name": name, "http": {**asks, **types, "headers": headers, "triggers": triggers}}


def widget_of(integration_id: int) -> dict[str, Any]:
    """Return the body that shows the card beside tickets."""
    lines = [
        {"type": "text", "path": name, "title": name.capitalize(), "order": place} for place, name in enumerate(CARD)
    ]
    card = {"type": "card", "path": "", "title": "quimbi", "widgets": lines}
    return {
        "type": "http",
        "integration_id": integration_id,
        "context": "ticket",
        "order": 0,
        "template": {"type": "wrapper", "widgets": [card]},
    }
