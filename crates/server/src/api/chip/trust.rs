//! `/v1/chip/trust/…` — the issuers whose chips an application accepts: listed, compared, imported.
//!
//! One file for the three operations: they share the form and the errors. What is imported here
//! holds for the caller's application only; the operator's store (`bonafide chip trust`) holds for all.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use service::chip::trust::{TrustError, TrustFile};
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        caller::{Caller, ManageTrust},
        failure::Failure,
        form::{FileField, Form},
    },
};

const EXTENSIONS: &[&str] =
    &["ml", "ldif", "pem", "der", "cer", "crt", "crl", "p7c", "p7b", "cms", "bin", "txt"];
const FILES: &[FileField] = &[
    FileField { name: "file", required: true, max_megabytes: 20, extensions: EXTENSIONS },
    FileField { name: "root", required: false, max_megabytes: 1, extensions: EXTENSIONS },
];

/// A file of issuers.
#[derive(Deserialize, ToSchema)]
#[schema(as = TrustForm)]
#[expect(dead_code, reason = "documents the form")]
pub(crate) struct Body {
    /// Master list (`.ml`), LDIF, PEM, DER certificate or revocation list, at most 20 MB.
    #[schema(format = Binary, value_type = String)]
    file: Vec<u8>,
    /// Certificates that a master list's signer must chain to.
    #[schema(format = Binary, value_type = Option<String>)]
    root: Option<Vec<u8>>,
    /// The caller vouches for a file whose signer chains to no given root and to nothing trusted already.
    #[schema(default = false)]
    vouch: Option<bool>,
    /// What the import is called in the list of imports.
    #[schema(default = "upload")]
    name: Option<String>,
}

async fn form(request: Request) -> Result<TrustFile, Failure> {
    let mut form = Form::read(request, FILES).await?;
    let bytes = form.file("file").unwrap_or_default().to_vec();
    let roots = form.file("root").map(|bytes| bytes.to_vec());
    let (vouched, name) = form.read_fields(|fields| {
        (
            fields.boolean("vouch").unwrap_or(false),
            fields.text("name", 200).unwrap_or_else(|| "upload".to_owned()),
        )
    })?;
    Ok(TrustFile { name, bytes, roots, vouched })
}

fn failure(error: TrustError) -> Failure {
    match error {
        TrustError::File(reason) => Failure::field("file", &format!("{reason}.")),
        TrustError::Roots => Failure::field("root", "There is no certificate inside."),
        TrustError::NotVouched => Failure::field(
            "vouch",
            "No given root and nothing trusted already vouches for this file. Give a root, or say vouch=true to trust it on your own word.",
        ),
        TrustError::Busy => Failure::busy(2),
        TrustError::Store(error) => error.into(),
        failed @ TrustError::Failed(_) => Failure::internal(&failed),
    }
}

/// What is trusted, with the imports that brought it.
#[utoipa::path(get, path = "/v1/chip/trust/", tag = "chip",
    responses((status = 200, body = Object), (status = 403, body = Detail), (status = 429, body = Detail), (status = 503, body = Detail)))]
pub(crate) async fn list(caller: Caller<ManageTrust>, State(app): State<App>) -> Result<Response, Failure> {
    let shown = app.service.chip_trust(&caller.access).await.map_err(failure)?;
    Ok(caller.answer(Json(shown)))
}

/// What an import would change; nothing is kept.
#[utoipa::path(post, path = "/v1/chip/trust/diff/", tag = "chip",
    request_body(content = Body, content_type = "multipart/form-data"),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 413, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail), (status = 503, body = Detail)))]
pub(crate) async fn diff(
    caller: Caller<ManageTrust>,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Failure> {
    let file = form(request).await?;
    let shown = app.service.compare_chip_trust(&caller.access, file).await.map_err(failure)?;
    Ok(caller.answer(Json(shown)))
}

/// Trusts the certificates of a file; its signature is checked first, and the import is an audit row.
#[utoipa::path(post, path = "/v1/chip/trust/import/", tag = "chip",
    request_body(content = Body, content_type = "multipart/form-data"),
    responses((status = 201, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 413, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail), (status = 503, body = Detail)))]
pub(crate) async fn import(
    caller: Caller<ManageTrust>,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Failure> {
    let file = form(request).await?;
    let shown = app.service.import_chip_trust(&caller.access, file).await.map_err(failure)?;
    Ok(caller.answer((StatusCode::CREATED, Json(shown))))
}
