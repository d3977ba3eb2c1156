//! The person's pages under `/session/<token>`: consent, captures, waiting, result.
//!
//! The server decides what comes next (`workflow::next_step`); pages only show
//! it. Each step is a plain form that works without JavaScript.

pub(crate) mod pages;
pub(crate) mod routes;
