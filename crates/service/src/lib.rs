//! Holds the use cases: start a session, take a submission, run checks, decide, erase.
