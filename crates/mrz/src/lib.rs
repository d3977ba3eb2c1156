//! Parses, checks and repairs machine readable zones after ICAO Doc 9303.
