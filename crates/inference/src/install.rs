//! Fetches models through their registries' own clients (placeholder until the next commit).
