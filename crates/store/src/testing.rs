//! Finds and runs Debian's PostgreSQL for tests and benches.
