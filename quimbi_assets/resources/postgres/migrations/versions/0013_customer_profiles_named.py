"""Profiles by today's names, as a shop's own scripts want them; ids stay the keys of everything that has to last."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

VIEW = """
CREATE VIEW quimbi.customer_profiles_named AS
SELECT
    profile.store_id,
    profile.customer_id,
    profile.archetype_id,
    archetype.name AS archetype_name,
    named.segment_memberships,
    named.dominant_segments,
    profile.membership_strength,
    profile.lifetime_value,
    profile.churn_risk_score,
    profile.as_of
FROM quimbi.customer_profiles AS profile
LEFT JOIN (
    SELECT store_id, jsonb_object_agg(axis_name, names) AS names
    FROM (
        SELECT store_id, axis_name, jsonb_object_agg(segment_id, segment_name) AS names
        FROM quimbi.dim_segment_master WHERE valid_to IS NULL GROUP BY store_id, axis_name
    ) AS axes
    GROUP BY store_id
) AS today ON today.store_id = profile.store_id
LEFT JOIN quimbi.archetypes AS archetype
    ON archetype.store_id = profile.store_id AND archetype.archetype_id = profile.archetype_id
    AND archetype.valid_to IS NULL
CROSS JOIN LATERAL (
    SELECT
        jsonb_object_agg(axis.key, (
            SELECT jsonb_object_agg(coalesce(today.names -> axis.key ->> score.key, score.key), score.value)
            FROM jsonb_each(axis.value) AS score
        )) AS segment_memberships,
        jsonb_object_agg(axis.key, coalesce(
            today.names -> axis.key ->> (profile.dominant_segments ->> axis.key),
            profile.dominant_segments ->> axis.key
        )) AS dominant_segments
    FROM jsonb_each(profile.segment_memberships) AS axis
) AS named;
COMMENT ON VIEW quimbi.customer_profiles_named IS
    'customer_profiles by the names that segments have today. Names may change: what has to last hangs on ids';
COMMENT ON COLUMN quimbi.customer_profiles_named.segment_memberships IS
    '{axis: {segment name: score}}; scores of an axis sum to 1';
COMMENT ON COLUMN quimbi.customer_profiles_named.dominant_segments IS '{axis: segment name}';
"""


def upgrade() -> None:
    """Create the view."""
    op.execute(VIEW)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP VIEW quimbi.customer_profiles_named")
