"""What ``quimbi drift`` prints says what is counted, in the words of the glossary."""

from quimbi_assets.commands.over_time import print_drift


def alert(customer, kind, cause, axis=None, value=None):
    named = {"from_segment": "v_1", "from_name": "small_spenders", "to_segment": "v_2", "to_name": None}
    return {"customer_id": customer, "alert": kind, "cause": cause, "axis": axis, "lifetime_value": value, **named}


def test_a_week_in_words(capsys):
    print_drift(
        {
            "store_id": "shop",
            "week": "2026-01-05",
            "compared_with": "2025-12-29",
            "customers": 3000,
            "currency": "GBP",
            "causes": {"acted": 100, "silent": 2900},
            "migrations": [],
            "alerts": [
                alert("ann", "newly_at_risk", "silent"),
                alert("bob", "moved", "acted", "purchase_value", 1234.4),
            ],
            "at_risk": [{"week": "2026-01-05", "customer_id": "ann", "risk": 0.5, "lifetime_value": 20}],
            "later_models": [],
            "segment_psi": {},
            "large_psi": 0.25,
        }
    )
    lines = capsys.readouterr().out.splitlines()
    assert (
        "since the snapshot of 2025-12-29: 100 acted, 2,900 silent (only time passed; 1 of them lapsed this week)"
        in (lines)
    )
    assert "  ann  newly at risk (cause: silent)" in lines
    assert "  bob  moved (cause: acted)  purchase_value: small_spenders -> v_2  worth £1,234 so far" in lines
    assert "at risk: 1 lapsed within 8 weeks and have not ordered since; newest first, by risk times value" in lines
    assert "  2026-01-05  ann  risk 50%  worth £20.00 so far" in lines
