//! Decodes untrusted pictures once, at one door, and measures and warps them.
