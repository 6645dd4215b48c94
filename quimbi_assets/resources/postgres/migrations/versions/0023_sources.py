"""Where orders are pulled from is remembered, so that it can happen by itself."""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Make room for it; stores that were loaded from files have no source."""
    op.execute("""
        CREATE TABLE quimbi.sources (
            store_id text NOT NULL,
            source_md5 text NOT NULL,
            settings jsonb NOT NULL,
            every text CHECK (every IN ('hour', 'day')),
            mark text,
            looked_at timestamptz,
            PRIMARY KEY (store_id, source_md5)
        );
        COMMENT ON TABLE quimbi.sources IS
            'Where stores'' orders are pulled from (quimbi load --from), and how far that is';
        COMMENT ON COLUMN quimbi.sources.store_id IS 'The store';
        COMMENT ON COLUMN quimbi.sources.source_md5 IS
            'Of the settings as text: a source is known by what was asked of it';
        COMMENT ON COLUMN quimbi.sources.settings IS
            'Address (without password, or the name of an environment variable), layout, schema, queries, columns';
        COMMENT ON COLUMN quimbi.sources.every IS 'How often it is pulled unasked: hour or day; NULL: never';
        COMMENT ON COLUMN quimbi.sources.mark IS
            'Up to where it is loaded: the newest change and the orders that have it, or a digest of all rows or files';
        COMMENT ON COLUMN quimbi.sources.looked_at IS 'When it was last pulled, whether or not anything was new'
    """)
