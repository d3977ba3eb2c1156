//! Decides from signals and settings what a session must do next and how it ends.
