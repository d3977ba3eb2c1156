//! Serves the HTTP API and the hosted pages.
