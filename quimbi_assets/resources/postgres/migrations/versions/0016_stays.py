"""The chance that customers stay in their segments, and in words; by axis, how it follows from their memberships."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the columns, NULL until a run publishes the store anew, and let the view by names show them."""
    op.execute("""
        ALTER TABLE quimbi.customer_profiles ADD COLUMN stays jsonb, ADD COLUMN stays_strength jsonb;
        COMMENT ON COLUMN quimbi.customer_profiles.membership_strength IS
            '{axis: strong | balanced | weak}: how clear the memberships are; stays_strength is what people read';
        COMMENT ON COLUMN quimbi.customer_profiles.stays IS
            '{axis: chance, 0-1, to be in the same dominant segment one horizon on}; NULL: not computed yet';
        COMMENT ON COLUMN quimbi.customer_profiles.stays_strength IS
            '{axis: strong | balanced | weak}: stays from 0.8 on, from 0.6 on, less; NULL: not computed yet';
        ALTER TABLE quimbi.axis_models ADD COLUMN stays jsonb;
        COMMENT ON COLUMN quimbi.axis_models.stays IS
            'What stays follows from: temperature and stayers; states: the chance of those in each structural segment, '
            'in order; n_customers, horizon_days, stayed, calibration_error: of the transition it was learnt from; '
            'reason: why from none. NULL: not computed yet, or inactive';
    """)
    op.execute("""
        DO $$
        DECLARE body text := pg_get_viewdef('quimbi.customer_profiles_named'::regclass);
        BEGIN
            EXECUTE 'CREATE OR REPLACE VIEW quimbi.customer_profiles_named AS '
                || regexp_replace(body, '\\s+FROM', ', profile.stays, profile.stays_strength FROM');
        END $$;
    """)
