"""Asset checks, generated from schemas rather than written one by one.

Belongs here: turning a schema or a rule into a check result that people can read. Does not: the schemas.
"""

from collections import Counter

import dagster as dg
import pandas as pd
import pandera.pandas as pandera

#: Rows of a failed check shown in the UI.
SHOWN = 20


class SchemaCheck:
    """Validates a table batch by batch and reports every kind of failure, counted.

    Parameters
    ----------
    schema : DataFrameSchema
        What every batch must fulfil.
    """

    def __init__(self, schema: pandera.DataFrameSchema) -> None:
        self._schema = schema
        self._cases: list[pd.DataFrame] = []
        self.n_rows = 0

    def look_at(self, batch: pd.DataFrame) -> None:
        """Validate some rows."""
        self.n_rows += len(batch)
        try:
            self._schema.validate(batch, lazy=True)
        except pandera.errors.SchemaErrors as errors:
            self._cases.append(errors.failure_cases[["column", "check", "failure_case"]])

    def result(self, key: dg.AssetKey, name: str) -> dg.AssetCheckResult:
        """Return the result of the check of that name of an asset."""
        if not self._cases:
            return dg.AssetCheckResult(asset_key=key, check_name=name, passed=True, metadata={"rows": self.n_rows})
        cases = pd.concat(self._cases, ignore_index=True)
        rules = cases["column"].astype(str) + " " + cases["check"].astype(str)
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=False,
            metadata={
                "failures": len(cases),
                "by_check": dg.MetadataValue.json(dict(Counter(rules))),
                "first_cases": dg.MetadataValue.md("```\n" + cases.head(SHOWN).to_string() + "\n```"),
            },
        )


def rule_check(
    key: dg.AssetKey, name: str, passed: bool, description: str, **values: float | str
) -> dg.AssetCheckResult:
    """Report a rule about a whole table."""
    return dg.AssetCheckResult(
        asset_key=key, check_name=name, passed=passed, description=description, metadata=dict(values)
    )
