-- The first schema. One text for both engines: BIGINT, DOUBLE, BOOLEAN, BLOB and
-- STRICT are replaced by what the engine calls them (see migrate.rs). Blocks
-- between "-- @sqlite" or "-- @postgres" and "-- @end" are for one engine.
--
-- Rules: the owner's application_id comes first in every key. Times are
-- microseconds since 1970 (UTC). JSON is TEXT. Columns of type BLOB named
-- "sealed_…" hold personal data under the subject's key, or the application's
-- own data under its key; "…_index" and "digest" are blind indexes.
-- There are no foreign keys between hot tables: on PostgreSQL they lock the
-- parent row in every insert, and the parent never goes before its children
-- (an erasure deletes all tables in one transaction, and a test counts them).

CREATE TABLE system_keys (
    name TEXT NOT NULL PRIMARY KEY,
    wrapped BLOB NOT NULL,
    created_at BIGINT NOT NULL
) STRICT;

CREATE TABLE applications (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    environment TEXT NOT NULL,
    settings TEXT NOT NULL,
    -- Counts sessions on SQLite; PostgreSQL draws from a sequence, because one row would let only one transaction commit at a time.
    last_session_number BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) STRICT;

CREATE TABLE application_keys (
    application_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    wrapped_key BLOB NOT NULL,
    wrapped_index BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, version)
) STRICT;

CREATE TABLE api_keys (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    token_hash BLOB NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (application_id, id)
) STRICT;

CREATE TABLE workflows (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    label TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    is_default BOOLEAN NOT NULL,
    is_archived BOOLEAN NOT NULL,
    link_token TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, id, version)
) STRICT;
CREATE INDEX workflows_by_link ON workflows (link_token);

CREATE TABLE subjects (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    vendor_index BLOB,
    status TEXT NOT NULL,
    sealed_profile BLOB,
    legal_hold TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, id),
    UNIQUE (application_id, kind, vendor_index)
) STRICT;
CREATE INDEX subjects_by_time ON subjects (application_id, created_at);

CREATE TABLE subject_keys (
    application_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    application_key_version BIGINT NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (application_id, subject_id, version)
) STRICT;

CREATE TABLE erasures (
    application_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    erased_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, subject_id)
) STRICT;

CREATE TABLE sessions (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    number BIGINT NOT NULL,
    token_hash BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    service TEXT,
    subject_id TEXT NOT NULL,
    vendor_index BLOB,
    workflow_id TEXT,
    workflow_version BIGINT,
    status TEXT NOT NULL,
    features TEXT NOT NULL,
    language TEXT,
    country TEXT,
    document_type TEXT,
    sealed_details BLOB NOT NULL,
    sealed_state BLOB NOT NULL,
    sealed_decision BLOB,
    last_event BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    decided_at BIGINT,
    PRIMARY KEY (application_id, id),
    UNIQUE (application_id, number)
) STRICT;
CREATE INDEX sessions_by_time ON sessions (application_id, created_at);
CREATE INDEX sessions_by_status ON sessions (application_id, status, created_at);
CREATE INDEX sessions_by_subject ON sessions (application_id, subject_id);
CREATE INDEX sessions_by_vendor ON sessions (application_id, vendor_index);
CREATE INDEX sessions_by_expiry ON sessions (status, expires_at);

CREATE TABLE objects (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    node_id TEXT,
    kind TEXT NOT NULL,
    blob TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    digest BLOB NOT NULL,
    nonce_hash BLOB,
    sealed_details BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, id),
    UNIQUE (application_id, session_id, nonce_hash)
) STRICT;
CREATE INDEX objects_by_session ON objects (application_id, session_id);
CREATE INDEX objects_by_subject ON objects (application_id, subject_id);
CREATE INDEX objects_by_digest ON objects (application_id, digest);
CREATE UNIQUE INDEX objects_by_blob ON objects (blob);

CREATE TABLE checks (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    feature TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    status TEXT NOT NULL,
    risks TEXT NOT NULL,
    sealed_result BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, id),
    UNIQUE (application_id, session_id, node_id, feature, attempt)
) STRICT;
CREATE INDEX checks_by_subject ON checks (application_id, subject_id);

CREATE TABLE consents (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    text_version TEXT NOT NULL,
    text_sha256 BLOB NOT NULL,
    language TEXT NOT NULL,
    sealed_evidence BLOB NOT NULL,
    given_at BIGINT NOT NULL,
    withdrawn_at BIGINT,
    PRIMARY KEY (application_id, id)
) STRICT;
CREATE INDEX consents_by_session ON consents (application_id, session_id);
CREATE INDEX consents_by_subject ON consents (application_id, subject_id);

CREATE TABLE reviews (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    new_status TEXT,
    sealed_comment BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, id)
) STRICT;
CREATE INDEX reviews_by_session ON reviews (application_id, session_id);
CREATE INDEX reviews_by_subject ON reviews (application_id, subject_id);

CREATE TABLE idempotency (
    application_id TEXT NOT NULL,
    route TEXT NOT NULL,
    key_hash BLOB NOT NULL,
    request_hash BLOB NOT NULL,
    subject_id TEXT,
    status BIGINT,
    sealed_response BLOB,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, route, key_hash)
) STRICT;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);
CREATE INDEX idempotency_by_subject ON idempotency (application_id, subject_id);

CREATE TABLE jobs (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    unique_key TEXT,
    run_at BIGINT NOT NULL,
    lease_token TEXT,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    dead_at BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (application_id, kind, unique_key)
) STRICT;
-- A leased job's run_at is the end of its lease, so one index finds both new and abandoned jobs.
CREATE INDEX jobs_ready ON jobs (queue, run_at) WHERE dead_at IS NULL;

CREATE TABLE events (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT,
    subject_id TEXT,
    sequence BIGINT NOT NULL,
    kind TEXT NOT NULL,
    sealed_payload BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    dispatched_at BIGINT,
    PRIMARY KEY (application_id, id)
) STRICT;
CREATE INDEX events_waiting ON events (created_at) WHERE dispatched_at IS NULL;
CREATE UNIQUE INDEX events_by_session ON events (application_id, session_id, sequence);
CREATE INDEX events_by_subject ON events (application_id, subject_id);

CREATE TABLE webhook_destinations (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    label TEXT NOT NULL,
    url TEXT NOT NULL,
    payload_version TEXT NOT NULL,
    is_enabled BOOLEAN NOT NULL,
    subscribed_events TEXT NOT NULL,
    sealed_secret BLOB NOT NULL,
    sealed_previous_secret BLOB,
    previous_secret_until BIGINT,
    failing_since BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, id),
    UNIQUE (application_id, url)
) STRICT;

CREATE TABLE webhook_deliveries (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    destination_id TEXT NOT NULL,
    session_id TEXT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    lease_token TEXT,
    response_status BIGINT,
    response_ms BIGINT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (application_id, id),
    UNIQUE (application_id, event_id, destination_id)
) STRICT;
CREATE INDEX deliveries_ready ON webhook_deliveries (next_at) WHERE finished_at IS NULL;
CREATE INDEX deliveries_by_destination ON webhook_deliveries (application_id, destination_id, created_at);

CREATE TABLE lists (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    list_type TEXT NOT NULL,
    entry_type TEXT NOT NULL,
    is_system BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, id)
) STRICT;

CREATE TABLE list_entries (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    list_id TEXT NOT NULL,
    subject_id TEXT,
    value_index BLOB,
    sealed_value BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, id)
) STRICT;
CREATE INDEX entries_by_value ON list_entries (application_id, list_id, value_index);
CREATE INDEX entries_by_subject ON list_entries (application_id, subject_id);

CREATE TABLE face_templates (
    application_id TEXT NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT,
    subject_id TEXT NOT NULL,
    model TEXT NOT NULL,
    sealed_template BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, id)
) STRICT;
CREATE INDEX templates_by_subject ON face_templates (application_id, subject_id);
CREATE INDEX templates_by_model ON face_templates (application_id, model, id);

CREATE TABLE counters (
    name TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    count BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (name, window_start)
) STRICT;
CREATE INDEX counters_by_expiry ON counters (expires_at);

CREATE TABLE audit_log (
    strand BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    application_id TEXT,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    request_id TEXT,
    details TEXT,
    hash BLOB NOT NULL,
    PRIMARY KEY (strand, sequence)
) STRICT;
CREATE INDEX audit_by_object ON audit_log (application_id, object, at);
CREATE INDEX audit_by_time ON audit_log (application_id, at);

-- The log only grows. Whoever may drop a trigger can still change rows; the chain shows that.
-- @sqlite
CREATE TRIGGER audit_log_keeps_rows BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit log rows are never changed'); END;
CREATE TRIGGER audit_log_keeps_all BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit log rows are never deleted'); END;
-- @end
-- @postgres
CREATE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'audit log rows are never changed or deleted'; END $$;
CREATE TRIGGER audit_log_keeps_rows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();
-- @end
