-- The schema: what comes in, what runs publish and decide, and what people query.
--
-- No foreign keys between tables: a bulk load checks references set-wise before it writes (1.47 M lines; a constraint
-- would check them one by one), and a store's tables are replaced independently.

SET LOCAL search_path TO quimbi;

CREATE TABLE stores (
    store_id text PRIMARY KEY,
    time_zone text NOT NULL DEFAULT 'UTC',
    currency text,
    business_hours jsonb,
    order_policy jsonb,
    plan jsonb,
    changed_at timestamptz
);
COMMENT ON TABLE stores IS 'One row a store: how its orders are to be read';
COMMENT ON COLUMN stores.time_zone IS 'IANA name; local clock features use it';
COMMENT ON COLUMN stores.currency IS 'ISO 4217; NULL: the currency most orders are in';
COMMENT ON COLUMN stores.order_policy IS 'Which orders count as purchases; NULL: the default policy';
COMMENT ON COLUMN stores.plan IS 'What is done unasked, and when; NULL: the default plan';
COMMENT ON COLUMN stores.changed_at IS 'When a load last changed a row of the store; NULL: not since this is recorded';

CREATE TABLE orders (
    store_id text NOT NULL,
    order_id text NOT NULL,
    customer_id text,
    order_date timestamptz NOT NULL,
    total_price double precision NOT NULL,
    discount_amount double precision,
    source text,
    status text,
    currency text,
    refund_amount double precision,
    PRIMARY KEY (store_id, order_id)
);
CREATE INDEX orders_by_customer ON orders (store_id, customer_id);
COMMENT ON TABLE orders IS 'Orders as the store sent them and validation accepted them, before the order policy';
COMMENT ON COLUMN orders.customer_id IS 'NULL: a guest';
COMMENT ON COLUMN orders.total_price IS 'What the customer paid for the order: net of discounts, gross of refunds';
COMMENT ON COLUMN orders.discount_amount IS 'NULL in every row: not recorded by this store';

CREATE TABLE order_items (
    store_id text NOT NULL,
    order_id text NOT NULL,
    line_no integer NOT NULL,
    product_id text NOT NULL,
    category text,
    product_type text,
    quantity double precision NOT NULL,
    price double precision NOT NULL,
    refund_amount double precision,
    refunded_at timestamptz,
    PRIMARY KEY (store_id, order_id, line_no)
);
COMMENT ON TABLE order_items IS 'Lines of orders; every line belongs to an order of the same store';
COMMENT ON COLUMN order_items.price IS 'Unit price';

CREATE TABLE support_tickets (
    store_id text NOT NULL,
    ticket_id text NOT NULL,
    customer_id text,
    created_at timestamptz NOT NULL,
    channel text,
    status text,
    priority text,
    subject text,
    tags text,
    first_response_at timestamptz,
    resolved_at timestamptz,
    satisfaction_score double precision,
    reopen_count double precision,
    PRIMARY KEY (store_id, ticket_id)
);
CREATE INDEX support_tickets_by_customer ON support_tickets (store_id, customer_id);
COMMENT ON COLUMN support_tickets.satisfaction_score IS '1 (bad) to 5 (good)';
COMMENT ON COLUMN support_tickets.tags IS 'Comma-separated';

CREATE TABLE quarantined_rows (
    store_id text NOT NULL,
    "table" text NOT NULL,
    row_md5 text NOT NULL,
    reason text NOT NULL,
    "row" jsonb NOT NULL,
    occurrences integer NOT NULL DEFAULT 1,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, "table", row_md5, reason)
);
COMMENT ON TABLE quarantined_rows IS 'Rows that were refused, as the file had them, and why';
COMMENT ON COLUMN quarantined_rows.row_md5 IS 'Of the row as text: loading the same file again adds nothing';
COMMENT ON COLUMN quarantined_rows.occurrences IS 'Times one file held this very row';
COMMENT ON COLUMN quarantined_rows.seen_at IS 'When it was first refused';

CREATE TABLE customer_identities (
    store_id text NOT NULL,
    kind text NOT NULL,
    key_hash bytea NOT NULL,
    customer_id text NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, kind, key_hash)
);
CREATE INDEX customer_identities_by_customer ON customer_identities (store_id, customer_id);
COMMENT ON TABLE customer_identities IS 'Other keys of customers, by which tickets find them';
COMMENT ON COLUMN customer_identities.kind IS 'email, customer_id (the shop''s own), helpdesk_id';
COMMENT ON COLUMN customer_identities.key_hash IS
    'HMAC-SHA256 of the key (e-mails without surrounding space, case-folded); its secret is not in the database';
COMMENT ON COLUMN customer_identities.customer_id IS 'As the store''s orders have it';

CREATE TABLE publications (
    store_id text NOT NULL,
    publication_id bigint NOT NULL,
    run_id text NOT NULL,
    as_of timestamptz NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    model_versions jsonb NOT NULL,
    PRIMARY KEY (store_id, publication_id)
);
COMMENT ON TABLE publications IS
    'Every time a store''s result appeared, as one transaction; the last one is what the other tables hold';
COMMENT ON COLUMN publications.publication_id IS 'Counts a store''s publications, from 1';
COMMENT ON COLUMN publications.run_id IS 'Dagster''s run';
COMMENT ON COLUMN publications.model_versions IS
    '{axis: version}, and churn_risk: the models that all of its profiles were made with';

CREATE TABLE promotions (
    store_id text NOT NULL,
    promotion_id bigint GENERATED ALWAYS AS IDENTITY,
    axis_name text NOT NULL,
    model_version text NOT NULL,
    data_end timestamptz NOT NULL,
    reason text NOT NULL,
    by_hand boolean NOT NULL DEFAULT false,
    for_past boolean NOT NULL DEFAULT false,
    decided_at timestamptz NOT NULL DEFAULT now(),
    publication_id bigint,
    echoed_at timestamptz,
    PRIMARY KEY (store_id, promotion_id),
    CHECK (NOT (for_past AND publication_id IS NOT NULL))
);
COMMENT ON TABLE promotions IS
    'Model versions chosen to serve, in order: the last one published of an axis (or churn_risk) serves';
COMMENT ON COLUMN promotions.data_end IS 'Where the data of the version end, exclusive';
COMMENT ON COLUMN promotions.by_hand IS 'Chosen by a person (quimbi promote): refits go on from it';
COMMENT ON COLUMN promotions.for_past IS 'Scores snapshots of its time only, and never serves';
COMMENT ON COLUMN promotions.publication_id IS 'The first publication made with it; NULL: not published yet';
COMMENT ON COLUMN promotions.echoed_at IS 'When MLflow''s tags and aliases followed; NULL: not yet';

CREATE TABLE axis_models (
    store_id text NOT NULL,
    axis_name text NOT NULL,
    status text NOT NULL,
    reason text,
    k integer,
    silhouette double precision,
    stability_ari double precision,
    mlflow_run_id text,
    model_version text,
    as_of timestamptz,
    held_reason text,
    PRIMARY KEY (store_id, axis_name)
);
COMMENT ON TABLE axis_models IS 'One row per store and axis: what the last run found';
COMMENT ON COLUMN axis_models.status IS 'active, inactive or weak';
COMMENT ON COLUMN axis_models.reason IS 'Why it is inactive or weak, in words';
COMMENT ON COLUMN axis_models.held_reason IS
    'Why the last fit does not serve, the model named here being the one before; NULL: the last fit serves';

CREATE TABLE segment_lineage (
    store_id text NOT NULL,
    axis_name text NOT NULL,
    model_version text NOT NULL,
    line integer NOT NULL,
    segment_id text NOT NULL,
    previous_segment_id text,
    relation text NOT NULL CHECK (relation IN ('kept', 'split', 'merged', 'born', 'retired')),
    score double precision,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, axis_name, model_version, line)
);
COMMENT ON TABLE segment_lineage IS
    'Per registered version, served or not: what became of the segments of the champion of then';
COMMENT ON COLUMN segment_lineage.previous_segment_id IS
    'Segment of the champion it comes from; NULL for a segment that was born, itself for a retired one';
COMMENT ON COLUMN segment_lineage.score IS 'Similarity of the two, 0-1; NULL in the first model of an axis';
COMMENT ON COLUMN segment_lineage.line IS 'Position in the lineage of the version, from 1';

CREATE TABLE dim_segment_master (
    store_id text NOT NULL,
    axis_name text NOT NULL,
    segment_id text NOT NULL,
    segment_name text NOT NULL,
    interpretation text,
    cluster_center jsonb,
    scaler_params jsonb,
    population_percentage double precision,
    customer_count bigint,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    model_version text,
    stability double precision,
    name_source text NOT NULL DEFAULT 'rules' CHECK (name_source IN ('claude', 'rules', 'person')),
    text_source text NOT NULL DEFAULT 'rules' CHECK (text_source IN ('claude', 'rules')),
    PRIMARY KEY (store_id, axis_name, segment_id, valid_from)
);
CREATE INDEX dim_segment_master_current ON dim_segment_master (store_id, axis_name) WHERE valid_to IS NULL;
COMMENT ON TABLE dim_segment_master IS 'Named segments of each axis; current ones have valid_to NULL';
COMMENT ON COLUMN dim_segment_master.population_percentage IS '0 to 100';
COMMENT ON COLUMN dim_segment_master.name_source IS 'Who gave the name: claude, rules or person';
COMMENT ON COLUMN dim_segment_master.text_source IS 'Who wrote the interpretation: claude or rules';

CREATE TABLE segment_naming (
    store_id text NOT NULL,
    digest text NOT NULL,
    axis_name text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    answers jsonb NOT NULL,
    checks jsonb NOT NULL,
    failure text,
    calls integer NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cost_usd double precision,
    run_id text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, digest)
);
COMMENT ON TABLE segment_naming IS 'What Claude answered about the segments of axes; once a description';
COMMENT ON COLUMN segment_naming.digest IS
    'SHA-256 of axis, meanings, rounded numbers, segment ids, model and prompt version';
COMMENT ON COLUMN segment_naming.answers IS '{segment_id: {name, interpretation}}, those that passed every test';
COMMENT ON COLUMN segment_naming.checks IS 'Every test: [{segment_id, round, check, passed, reason}]';
COMMENT ON COLUMN segment_naming.failure IS 'Why a request had no usable answer; then it is asked again';
COMMENT ON COLUMN segment_naming.cost_usd IS 'At list prices; NULL: prices of the model are not known';

CREATE TABLE segment_renames (
    store_id text NOT NULL,
    axis_name text NOT NULL,
    segment_id text NOT NULL,
    segment_name text NOT NULL CHECK (segment_name ~ '^[a-z][a-z0-9_]{2,39}$'),
    named_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, axis_name, segment_id)
);
COMMENT ON TABLE segment_renames IS 'Names that people set (quimbi rename); nothing overwrites them';

CREATE TABLE archetypes (
    store_id text NOT NULL,
    archetype_id text NOT NULL,
    name text NOT NULL,
    traits jsonb NOT NULL,
    customer_count bigint NOT NULL,
    population_percentage double precision NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    as_of timestamptz,
    PRIMARY KEY (store_id, archetype_id, valid_from)
);
CREATE INDEX archetypes_current ON archetypes (store_id, archetype_id) WHERE valid_to IS NULL;
COMMENT ON TABLE archetypes IS
    'Kept archetypes of each store; current ones have valid_to NULL. Every customer is of exactly one';
COMMENT ON COLUMN archetypes.archetype_id IS 'Stable hash of the segment ids in traits';
COMMENT ON COLUMN archetypes.traits IS '{axis: {segment_id, segment_name}}, the axes that make archetypes';
COMMENT ON COLUMN archetypes.population_percentage IS '0 to 100';
COMMENT ON COLUMN archetypes.as_of IS
    'Where the data end that they are made from, exclusive; NULL: made before this was recorded';

CREATE TABLE customer_profiles (
    store_id text NOT NULL,
    customer_id text NOT NULL,
    archetype_id text,
    segment_memberships jsonb,
    dominant_segments jsonb,
    feature_vectors jsonb,
    membership_strength jsonb,
    evidence jsonb,
    fingerprint real[],
    lifetime_value double precision,
    churn_risk_score double precision,
    interpretation text,
    model_versions jsonb,
    as_of timestamptz,
    churn_drivers jsonb,
    PRIMARY KEY (store_id, customer_id)
);
CREATE INDEX customer_profiles_by_archetype ON customer_profiles (store_id, archetype_id);
COMMENT ON TABLE customer_profiles IS 'Who each customer is, as of one instant';
COMMENT ON COLUMN customer_profiles.archetype_id IS 'The kept archetype nearest to the customer; see archetypes';
COMMENT ON COLUMN customer_profiles.segment_memberships IS '{axis: {segment: score}}; scores of an axis sum to 1';
COMMENT ON COLUMN customer_profiles.dominant_segments IS '{axis: segment}';
COMMENT ON COLUMN customer_profiles.feature_vectors IS '{axis: {feature: value}}';
COMMENT ON COLUMN customer_profiles.membership_strength IS '{axis: strong | balanced | weak}';
COMMENT ON COLUMN customer_profiles.evidence IS '{axis: ok | low}';
COMMENT ON COLUMN customer_profiles.fingerprint IS 'Distances to all segment centres, axes and segments in order';
COMMENT ON COLUMN customer_profiles.lifetime_value IS 'Net of refunds, in the store''s currency';
COMMENT ON COLUMN customer_profiles.churn_drivers IS
    '{horizon_days, drivers: [{fact, effect: raises | lowers, log_odds, words}], reason}: strongest first, at most '
    'three; reason: why there is no churn_risk_score, or why it says little';
COMMENT ON COLUMN customer_profiles.churn_risk_score IS
    'Probability, 0-1, of no order in the horizon_days of churn_drivers; NULL: see its reason';

CREATE VIEW customer_profiles_named AS
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
FROM customer_profiles AS profile
LEFT JOIN (
    SELECT store_id, jsonb_object_agg(axis_name, names) AS names
    FROM (
        SELECT store_id, axis_name, jsonb_object_agg(segment_id, segment_name) AS names
        FROM dim_segment_master WHERE valid_to IS NULL GROUP BY store_id, axis_name
    ) AS axes
    GROUP BY store_id
) AS today ON today.store_id = profile.store_id
LEFT JOIN archetypes AS archetype
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
COMMENT ON VIEW customer_profiles_named IS
    'customer_profiles by the names that segments have today. Names may change: what has to last hangs on ids';
COMMENT ON COLUMN customer_profiles_named.segment_memberships IS
    '{axis: {segment name: score}}; scores of an axis sum to 1';
COMMENT ON COLUMN customer_profiles_named.dominant_segments IS '{axis: segment name}';

CREATE TABLE customer_history (
    store_id text NOT NULL,
    customer_id text NOT NULL,
    week date NOT NULL,
    as_of timestamptz NOT NULL,
    archetype_id text,
    segment_memberships jsonb NOT NULL,
    dominant_segments jsonb NOT NULL,
    lifetime_value double precision,
    churn_risk_score double precision,
    model_versions jsonb NOT NULL,
    drift jsonb,
    alert text CHECK (alert IN ('newly_at_risk', 'moved')),
    alert_cause text CHECK (alert_cause IN ('acted', 'silent')),
    PRIMARY KEY (store_id, week, customer_id)
);
CREATE INDEX customer_history_by_customer ON customer_history (store_id, customer_id);
COMMENT ON TABLE customer_history IS 'Who each customer was at the end of each week, by the models of then';
COMMENT ON COLUMN customer_history.week IS 'The Monday that opens the week';
COMMENT ON COLUMN customer_history.as_of IS 'Where the week ends by the store''s clock, exclusive';
COMMENT ON COLUMN customer_history.drift IS
    '{axis: {drift, velocity_per_day, acceleration, severity, cause}} since the snapshot before; NULL: none before';
COMMENT ON COLUMN customer_history.alert IS 'newly_at_risk or moved; NULL for most';
COMMENT ON COLUMN customer_history.alert_cause IS 'silent or acted: what the alert is about';

CREATE TABLE segment_migrations (
    store_id text NOT NULL,
    week date NOT NULL,
    customer_id text NOT NULL,
    axis_name text NOT NULL,
    cause text NOT NULL CHECK (cause IN ('acted', 'silent', 'model', 'corrected')),
    from_segment text NOT NULL,
    to_segment text NOT NULL,
    from_week date NOT NULL,
    at timestamptz NOT NULL,
    drift double precision,
    severity text,
    PRIMARY KEY (store_id, week, customer_id, axis_name, cause)
);
CREATE INDEX segment_migrations_by_customer ON segment_migrations (store_id, customer_id);
COMMENT ON TABLE segment_migrations IS 'Every change of segment that is more than noise, and its cause';
COMMENT ON COLUMN segment_migrations.axis_name IS 'An axis, or archetype';
COMMENT ON COLUMN segment_migrations.from_week IS 'Week of the snapshot it is compared with';

CREATE TABLE drift_floors (
    store_id text NOT NULL,
    week date NOT NULL,
    lead jsonb NOT NULL,
    silence double precision NOT NULL,
    acted double precision NOT NULL,
    n_weeks integer NOT NULL,
    n_quiet bigint NOT NULL,
    PRIMARY KEY (store_id, week)
);
COMMENT ON TABLE drift_floors IS 'What counted as noise in each week, learnt from the weeks before it';
COMMENT ON COLUMN drift_floors.lead IS '{axis: by how much another segment must outweigh the settled one}';
COMMENT ON COLUMN drift_floors.silence IS
    '-log10 of the probability of so long a silence from which a customer has fallen silent';
COMMENT ON COLUMN drift_floors.acted IS 'Drift from which what an order did is an alert';
COMMENT ON COLUMN drift_floors.n_quiet IS 'Customers'' weeks without anything new among those learnt from';

CREATE TABLE population_drift (
    store_id text NOT NULL,
    week date NOT NULL,
    axis_name text NOT NULL,
    figure text NOT NULL CHECK (figure IN ('feature_psi', 'segment_psi', 'segment_share')),
    name text NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (store_id, week, axis_name, figure, name)
);
COMMENT ON TABLE population_drift IS 'All customers of a week against those that the models were fitted on';
COMMENT ON COLUMN population_drift.name IS 'The feature, the segment, or the axis itself';

CREATE TABLE alert_notices (
    store_id text NOT NULL,
    week date NOT NULL,
    customer_id text NOT NULL,
    alert text NOT NULL,
    priority double precision NOT NULL,
    held_out boolean NOT NULL,
    repeated boolean NOT NULL,
    named boolean NOT NULL,
    told_at timestamptz,
    PRIMARY KEY (store_id, week, customer_id)
);
COMMENT ON TABLE alert_notices IS 'Alerted customers by week: named to the store, or why not';
COMMENT ON COLUMN alert_notices.priority IS 'Risk times lifetime value; value where the risk is not known';
COMMENT ON COLUMN alert_notices.held_out IS 'Of the share that is never named, to compare with';
COMMENT ON COLUMN alert_notices.repeated IS 'Named already within the weeks that the store''s plan says';
COMMENT ON COLUMN alert_notices.told_at IS 'When the message that names the customer was accepted; NULL: not';
