"""The real client against a local server that answers as Slack does, and does not."""

from quimbi_assets.resources import slack
from quimbi_assets.resources.slack import Slack


def test_a_message_arrives(channel, monkeypatch):
    url, _, received = channel
    monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
    assert Slack().send("ten customers") == "sent"
    assert [message["text"] for message in received] == ["ten customers"]


def test_a_busy_channel_is_asked_again(channel, monkeypatch):
    url, statuses, received = channel
    monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
    statuses[:] = [429, 200]
    assert Slack().send("busy") == "sent"
    assert len(received) == 2


def test_a_refusal_is_said_and_keeps_the_secret(channel, caplog, monkeypatch):
    url, statuses, received = channel
    monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
    statuses[:] = [403]
    assert Slack().send("no") == "not sent: Slack answered 403"
    assert len(received) == 1
    assert "secret" not in caplog.text


def test_nobody_there_raises_nothing(caplog, monkeypatch):
    monkeypatch.setattr(slack, "MOST_RETRIES", 0)
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "http://127.0.0.1:1/services/secret")
    assert Slack().send("hello").startswith("not sent: ")
    assert "secret" not in caplog.text


def test_without_a_webhook_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    assert Slack().send("hello") == "not configured"


def test_no_address_leaves_whatever_put_it_there(channel, monkeypatch):
    url, _, received = channel
    monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
    assert Slack().send("`ann@example.com`: 9 EUR <http://127.0.0.1:3001/stores/s|the page>, bob@localhost.") == "sent"
    assert received[-1]["text"] == "`(an address)`: 9 EUR <http://127.0.0.1:3001/stores/s|the page>, (an address)."
