-- Screening: who is watched, what is known of a person and a listed entry, the alerts that list changes
-- gave, and how far each shard of the watched people has followed the lists. Which entry a person resembles
-- is personal: it is sealed, and found only by blind index.

CREATE TABLE aml_watched (
    application_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    shard BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    sealed_profile BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, session_id)
) STRICT;
CREATE INDEX aml_watched_by_shard ON aml_watched (application_id, shard, sequence);
CREATE INDEX aml_watched_by_subject ON aml_watched (application_id, subject_id);

CREATE TABLE aml_hits (
    application_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    entity_index BLOB NOT NULL,
    shard BIGINT NOT NULL,
    sealed_known BLOB NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, subject_id, entity_index)
) STRICT;
CREATE INDEX aml_hits_by_shard ON aml_hits (application_id, shard);

CREATE TABLE aml_alerts (
    application_id TEXT NOT NULL,
    alert_index BLOB NOT NULL,
    session_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    list TEXT NOT NULL,
    version TEXT NOT NULL,
    sealed_alert BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, alert_index)
) STRICT;
CREATE INDEX aml_alerts_by_session ON aml_alerts (application_id, session_id);
CREATE INDEX aml_alerts_by_subject ON aml_alerts (application_id, subject_id);

CREATE TABLE aml_shards (
    application_id TEXT NOT NULL,
    shard BIGINT NOT NULL,
    enrolled BIGINT NOT NULL,
    versions TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, shard)
) STRICT;
