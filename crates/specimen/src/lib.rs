//! Draws fictitious identity documents together with their truth.
