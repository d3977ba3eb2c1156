//! `POST /v3/nfc-verification/` — verifies the files read from a document's chip (ICAO Doc 9303-11, 5.1).

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Request, State},
    response::Response,
};
use serde::Deserialize;
use service::chip::ChipFiles;
use utoipa::ToSchema;

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        caller::{Caller, WriteSessions},
        failure::Failure,
        fields::Fields,
        form::{FileField, Form},
    },
};

const fn file(name: &'static str, required: bool) -> FileField {
    FileField { name, required, max_megabytes: 2, extensions: &["bin", "der", "cms", "efsod", "dat"] }
}

const FILES: &[FileField] = &[
    file("sod", true),
    file("dg1", false),
    file("dg2", false),
    file("dg7", false),
    file("dg11", false),
    file("dg12", false),
    file("dg13", false),
    file("dg14", false),
    file("dg15", false),
    file("dg16", false),
];

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[schema(as = NfcVerificationForm)]
#[expect(dead_code, reason = "documents the form")]
pub(crate) struct Body {
    /// EF.SOD as read, at most 2 MB.
    #[schema(format = Binary, value_type = String)]
    sod: Vec<u8>,
    /// DG1 (the machine readable zone) as read; `dg2`, `dg7`, `dg11` to `dg16` likewise.
    #[schema(format = Binary, value_type = Option<String>)]
    dg1: Option<Vec<u8>>,
    /// DG2 (the portrait) as read.
    #[schema(format = Binary, value_type = Option<String>)]
    dg2: Option<Vec<u8>>,
    /// Challenge of an active authentication that the caller ran, 16 hexadecimal digits. A good answer proves nothing, for it
    /// may be a recording; a wrong one shows a copy. The relay asks with a challenge of the server's own.
    active_authentication_challenge: Option<String>,
    /// The chip's answer to it in hexadecimal.
    active_authentication_response: Option<String>,
    /// Whether the result is kept.
    #[schema(default = true)]
    save_api_request: Option<bool>,
    /// The caller's own name for the person.
    vendor_data: Option<String>,
    /// Given back with the answer.
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Verifies the files of a chip: signature, chain to a trusted issuer, hash of every data group.
#[utoipa::path(post, path = "/v3/nfc-verification/", tag = "checks",
    request_body(content = Body, content_type = "multipart/form-data"),
    responses(
    (status = 200, body = Object),
    (status = 400, body = FieldErrors),
    (status = 403, body = Detail),
    (status = 413, body = Detail),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
    (status = 503, body = Detail, description = "The queue is full; `Retry-After` says when to come back."),
))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Failure> {
    let mut form = Form::read(request, FILES).await?;
    let sod = form.file("sod").unwrap_or_default().to_vec();
    let mut data_groups = BTreeMap::new();
    for number in [1_u8, 2, 7, 11, 12, 13, 14, 15, 16] {
        if let Some(bytes) = form.file(&format!("dg{number}")) {
            data_groups.insert(number, bytes.to_vec());
        }
    }
    let (challenge, response, common) = form.read_fields(|fields| {
        let challenge = hexadecimal(fields, "active_authentication_challenge", 16);
        let response = hexadecimal(fields, "active_authentication_response", 2048);
        if challenge.is_some() != response.is_some() {
            fields.complain("active_authentication_response", "Challenge and response belong together.");
        }
        (challenge, response, super::common(fields))
    })?;
    let input = ChipFiles {
        sod,
        data_groups,
        active_authentication: challenge.zip(response),
        common: common.clone(),
    };
    let result = app.service.verify_chip(&caller.access, input).await.map_err(super::failure)?;
    let body = super::envelope(result.request, "nfc_verification", result.block, &common, app.timestamp());
    Ok(caller.answer(Json(body)))
}

/// Bytes in hexadecimal digits.
fn hexadecimal(fields: &mut Fields, name: &str, longest: usize) -> Option<Vec<u8>> {
    let text = fields.text(name, longest).filter(|text| !text.is_empty())?;
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let digits = std::str::from_utf8(pair).ok()?;
            let whole = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            whole.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
        })
        .collect();
    if bytes.is_none() {
        fields.complain(name, "Hexadecimal digits in pairs are needed.");
    }
    bytes
}
