//! Loads neural networks from one manifest and runs them behind one trait.
