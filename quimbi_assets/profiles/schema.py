"""The pandera schema of profiles, as they are published.

Belongs here: types and ranges of the columns of ``customer_profiles``. Does not: making them.
"""

import pandera.pandas as pandera

PROFILE_SCHEMA = pandera.DataFrameSchema(
    {
        "store_id": pandera.Column(nullable=False),
        "customer_id": pandera.Column(nullable=False, unique=True),
        "archetype_id": pandera.Column(checks=pandera.Check.str_matches(r"^a[0-9a-f]{12}$")),
        "segment_memberships": pandera.Column(nullable=False),
        "dominant_segments": pandera.Column(nullable=False),
        "feature_vectors": pandera.Column(nullable=False),
        "membership_strength": pandera.Column(nullable=False),
        "evidence": pandera.Column(nullable=False),
        "fingerprint": pandera.Column(nullable=False),
        "lifetime_value": pandera.Column(checks=pandera.Check.ge(0), nullable=True),
        "churn_risk_score": pandera.Column(checks=pandera.Check.in_range(0, 1), nullable=True),
        "churn_drivers": pandera.Column(nullable=True),
        "interpretation": pandera.Column(nullable=False),
        "model_versions": pandera.Column(nullable=False),
        "as_of": pandera.Column(nullable=False),
    },
    strict=True,
    name="profiles/customer_profiles",
)
