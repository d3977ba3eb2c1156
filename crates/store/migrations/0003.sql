-- Traces: keyed digests of what a person's document showed (its number, parts of a picture's fingerprint), by which a
-- later session of another person recognises it. They go with the session and with the person.

CREATE TABLE traces (
    application_id TEXT NOT NULL,
    trace_index BLOB NOT NULL,
    session_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    sealed_trace BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, trace_index, session_id)
) STRICT;
CREATE INDEX traces_by_session ON traces (application_id, session_id);
CREATE INDEX traces_by_subject ON traces (application_id, subject_id);
