//! Verifies the chip of electronic travel documents after ICAO Doc 9303 parts 10 to 12.
