//! `POST /v3/lists/{list_uuid}/entries/face-upload/` — lists the face of a picture.

use axum::{extract::State, response::Response};
use base64::Engine;
use serde::Deserialize;
use serde_json::{Map, Value};
use service::face_lists::Source;
use utoipa::ToSchema;

use crate::{
    api::Detail,
    app::App,
    http::{
        body::JsonObject,
        caller::{Caller, WriteSessions},
        failure::Failure,
        fields::Fields,
        parts::Ids,
    },
};

/// Largest picture of an entry.
const IMAGE_MAX_BYTES: usize = 3 * 1024 * 1024;

/// An entry made from a picture.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body")]
pub(crate) struct NewFace {
    /// A picture of the face, base64, at most 3 MB; only its template is kept.
    image: String,
    /// How the entry is shown.
    display_label: Option<String>,
    /// Why it is there.
    comment: Option<String>,
    /// Anything.
    metadata: Option<Map<String, Value>>,
}

/// Lists the face of a picture.
#[utoipa::path(post, path = "/v3/lists/{list_uuid}/entries/face-upload/", tag = "lists", request_body = NewFace,
    params(("list_uuid" = uuid::Uuid, Path, description = "The list.")),
    responses((status = 201, body = Object), (status = 400, body = Object), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail), (status = 503, body = Detail)))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    Ids(list): Ids,
    body: JsonObject,
) -> Result<Response, Failure> {
    super::must_exist(&app, &caller, list).await?;
    let read = |fields: &mut Fields| {
        let image = fields.required_text("image", 4 * IMAGE_MAX_BYTES / 3 + 100).and_then(|text| {
            let encoded = text.rsplit_once("base64,").map_or(text.as_str(), |(_, encoded)| encoded);
            let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok();
            if bytes.is_none() {
                fields.complain("image", "Upload a valid image, base64 encoded.");
            }
            bytes
        });
        (image, super::described(fields))
    };
    let (image, described) = body.read(read)?;
    let source = Source::Picture(image.unwrap_or_default());
    super::add(&app, &caller, list, source, described).await
}
