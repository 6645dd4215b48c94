"""Messages to a Slack channel, through an incoming webhook.

Belongs here: sending. Does not: what is said, and to whom not (``weekly``, ``defs``). A message that cannot be sent is
reported, never raised: no run fails because of Slack.
"""

import logging
import os
from urllib.parse import urlsplit

from quimbi_assets.texts import without_addresses

WEBHOOK_VARIABLE = "SLACK_WEBHOOK_URL"
TIMEOUT_SECONDS = 10
MOST_RETRIES = 2
NOT_SENT = "not sent"
"""What is said of a message begins with, where it should have been sent."""
LOG = logging.getLogger(__name__)


class Slack:
    """Sends messages to the webhook of ``SLACK_WEBHOOK_URL``; without one nothing is sent.

    A plain object: where a configurable resource sends to, whoever launches a run could say.
    """

    def send(self, text: str) -> str:
        """Send a message and return what became of it: ``sent``, ``not configured`` or why it was not sent.

        The text is in Slack's mark-up: ids and numbers only, nothing personal; what looks like an e-mail address does
        not leave, whatever put it there.
        """
        url = os.environ.get(WEBHOOK_VARIABLE, "")
        if not url:
            return "not configured"
        from slack_sdk.http_retry import RetryHandler
        from slack_sdk.http_retry import builtin_handlers as faults
        from slack_sdk.webhook import WebhookClient

        handlers: list[RetryHandler] = [
            faults.ConnectionErrorRetryHandler(MOST_RETRIES),
            faults.RateLimitErrorRetryHandler(MOST_RETRIES),
            faults.ServerErrorRetryHandler(MOST_RETRIES),
        ]
        try:
            answer = WebhookClient(url, timeout=TIMEOUT_SECONDS, retry_handlers=handlers).send(
                text=without_addresses(text)
            )
        except Exception as error:
            # The address holds a secret; errors may hold the address.
            LOG.warning("Slack could not be reached at %s: %s", urlsplit(url).hostname, type(error).__name__)
            return f"{NOT_SENT}: {type(error).__name__}"
        if answer.status_code != 200:
            LOG.warning("Slack refused a message: status %s", answer.status_code)
            return f"{NOT_SENT}: Slack answered {answer.status_code}"
        return "sent"
