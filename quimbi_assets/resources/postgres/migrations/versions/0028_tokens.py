"""Tokens of programs that ask over HTTP and MCP; of each only a hash is kept.

From this version on every table with a ``store_id`` has row-level security (``ROW_SECURITY`` of the package).
"""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Create the table; nobody has a token yet."""
    op.execute("""
        CREATE TABLE quimbi.tokens (
            store_id text NOT NULL,
            token_id text NOT NULL UNIQUE,
            token_hash bytea NOT NULL UNIQUE,
            scopes text[] NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL,
            revoked_at timestamptz,
            last_used_at timestamptz,
            PRIMARY KEY (store_id, token_id)
        );
        COMMENT ON TABLE quimbi.tokens IS
            'Tokens by which programs ask for a store''s results (quimbi token create); the tokens are not in it';
        COMMENT ON COLUMN quimbi.tokens.store_id IS 'The one store it is good for';
        COMMENT ON COLUMN quimbi.tokens.token_id IS 'By which people speak of it; it opens nothing';
        COMMENT ON COLUMN quimbi.tokens.token_hash IS 'SHA-256 of the token, which holds 32 random bytes';
        COMMENT ON COLUMN quimbi.tokens.scopes IS 'What it allows: read, write';
        COMMENT ON COLUMN quimbi.tokens.created_at IS 'When it was made';
        COMMENT ON COLUMN quimbi.tokens.expires_at IS 'From then on it opens nothing';
        COMMENT ON COLUMN quimbi.tokens.revoked_at IS 'When it was revoked; NULL: it was not';
        COMMENT ON COLUMN quimbi.tokens.last_used_at IS 'When it was last used, to the hour; NULL: never'
    """)
