//! Checks national identity numbers: checksums, embedded birth date and sex.
