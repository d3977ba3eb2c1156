//! The one suite, run on both engines.
