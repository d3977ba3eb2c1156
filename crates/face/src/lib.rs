//! Finds, aligns, judges and compares faces; searches, liveness and age.
