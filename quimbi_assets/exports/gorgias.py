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
CARD = ("who", "silence", "orders", "returns", "support", "do", "risk")
"""Lines of the card, as ``page.card`` has them."""
NAME = "quimbi: who writes"
"""Of the integration."""
RULES = """\
1. Valuable and dissatisfied: WHEN ticket created, or satisfaction survey responded; IF Customer Field quimbi_value_tier
   is top AND (quimbi_lifecycle is "at risk" OR satisfaction score <= 2); THEN set priority high, assign team "Senior".
2. Much at stake: WHEN ticket created; IF quimbi_value_tier is one of top, high AND quimbi_risk is high; THEN add tag
   "retention", assign team "Retention".
3. New here: WHEN ticket created; IF quimbi_lifecycle is new; THEN add tag "first order", apply macro "Welcome"."""
"""Ready to be typed into Settings > Rules: no API makes rules out of Customer Fields."""


def field_of(name: str) -> dict[str, Any]:
    """Return the body that makes a field: a list to choose from where all it can be is known, else text."""
    choices = FIELDS.get(name)
    settings: dict[str, Any] = {"input_type": "input"}
    if choices is not None:
        settings = {"input_type": "dropdown", "choices": list(choices)}
    definition = {"data_type": "text", "input_settings": settings}
    return {"object_type": "Customer", "label": PREFIX + name, "required": False, "definition": definition}


def integration_of(url: str, token: str) -> dict[str, Any]:
    """Return the body that has Gorgias ask for the card whenever a ticket is created or changes."""
    asks = {
        "url": f"{url.rstrip('/')}/v1/gorgias/card?email={{{{ticket.customer.email}}}}",
        "method": "GET",
        "headers": {"Authorization": f"Bearer {token}"},
        "request_content_type": "application/json",
        "response_content_type": "application/json",
        "triggers": {"ticket-created": True, "ticket-updated": True, "ticket-message-created": False},
    }
    return {"type": "http", "name": NAME, "http": asks}


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
