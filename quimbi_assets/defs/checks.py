"""Asset checks, generated from schemas rather than written one by one.

Belongs here: turning a schema or a rule into a check result that people can read. Does not: the schemas.
"""

import dagster as dg
import pandas as pd
import pandera.pandas as pandera

#: Rows of a failed check shown in the UI.
SHOWN = 20


def schema_check(
    key: dg.AssetKey, name: str, frame: pd.DataFrame, schema: pandera.DataFrameSchema
) -> dg.AssetCheckResult:
    """Validate a table and report every failure case, counted and shown.

    Parameters
    ----------
    key : AssetKey
        The asset checked.
    name : str
        The check's name.
    frame : DataFrame
        The asset's table.
    schema : DataFrameSchema
        What it must fulfil.
    """
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        by_check = cases.groupby(["column", "check"], dropna=False).size()
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=False,
            metadata={
                "failures": len(cases),
                "by_check": dg.MetadataValue.json({" ".join(map(str, k)): int(v) for k, v in by_check.items()}),
                "first_cases": dg.MetadataValue.md(
                    "```\n" + cases[["column", "check", "failure_case"]].head(SHOWN).to_string() + "\n```"
                ),
            },
        )
    return dg.AssetCheckResult(asset_key=key, check_name=name, passed=True, metadata={"rows": len(frame)})


def rule_check(
    key: dg.AssetKey, name: str, passed: bool, description: str, **values: float | str
) -> dg.AssetCheckResult:
    """Report a rule about a whole table."""
    return dg.AssetCheckResult(
        asset_key=key, check_name=name, passed=passed, description=description, metadata=dict(values)
    )
