//! Reads identity documents: photo to upright card, text, fields, cross-checks and signals.
