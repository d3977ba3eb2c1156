//! The person's pages: under `/session/…` consent, captures, waiting, result; under `/u/<link>` a workflow's
//! reusable link, which starts a session.
//!
//! The server decides what comes next (`workflow::next_step`); pages only show
//! it. Each step is a plain form that works without JavaScript.

pub(crate) mod challenge;
mod cookies;
pub(crate) mod pages;
pub(crate) mod routes;
pub(crate) mod unilink;
