//! Keeps rows, blobs, keys, jobs, events and the audit log on SQLite or PostgreSQL.
