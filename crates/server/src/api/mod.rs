//! The operations of the HTTP API, one file each.

pub(crate) mod aml;
pub(crate) mod chip;
pub(crate) mod consents;
pub(crate) mod face_lists;
pub(crate) mod media;
pub(crate) mod sessions;
pub(crate) mod standalone;
pub(crate) mod system;
pub(crate) mod verify_age;
pub(crate) mod workflows;

use serde::Serialize;
use utoipa::ToSchema;

/// `{"detail": …}`: the shape of most refusals.
#[derive(Serialize, ToSchema)]
pub(crate) struct Detail {
    /// One sentence for people.
    detail: String,
    /// A stable code for programs.
    code: Option<String>,
}

/// `{"field": ["…"]}`: what is wrong with single fields.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldErrors {
    /// Complaints by field.
    #[serde(flatten)]
    fields: std::collections::BTreeMap<String, Vec<String>>,
}
