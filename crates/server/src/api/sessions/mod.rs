//! Verification sessions: start, read, list, decide by hand, erase.

pub(crate) mod aml_hits;
pub(crate) mod create;
pub(crate) mod decision;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod update_status;

/// `https://…/session/<token>`, in the language's spelling where one was chosen.
pub(crate) fn link(public_url: &str, token: &str) -> String {
    format!("{}/session/{token}", public_url.trim_end_matches('/'))
}
