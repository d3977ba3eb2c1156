//! Compares names of people and organisations across scripts and spellings.
