//! `/session/{token}/challenge` and `/frames` — active liveness: a challenge is given, its frames are taken.
//!
//! Only the script uses these. A page without it, without a camera, or of a
//! person who cannot do either challenge hands in a picture instead, which a
//! person then looks at.

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use service::{
    active::{FrameBatch, MAX_BATCH_FRAMES},
    hosted::CaptureError,
};
use workflow::LivenessMethod;

use super::routes::{KEY_FIELD, KEY_LENGTH, Program, done, key_in, not_now, refused, sent};
use crate::{
    app::App,
    http::{
        failure::Failure,
        form::{FileField, Form},
    },
};

const fn frame(name: &'static str) -> FileField {
    FileField { name, required: false, max_megabytes: 1, extensions: &["jpg", "jpeg"] }
}

const FRAMES: &[FileField; MAX_BATCH_FRAMES] = &[
    frame("frame_0"),
    frame("frame_1"),
    frame("frame_2"),
    frame("frame_3"),
    frame("frame_4"),
    frame("frame_5"),
    frame("frame_6"),
    frame("frame_7"),
    frame("frame_8"),
    frame("frame_9"),
    frame("frame_10"),
    frame("frame_11"),
];

/// `POST /session/{token}/challenge` — gives a challenge; `kind` chooses the accessible alternative.
pub(crate) async fn begin(State(app): State<App>, Program(visitor): Program, body: String) -> Response {
    let visitor = match visitor.acting(&app, key_in(&body).as_deref()) {
        Ok(visitor) => visitor,
        Err(mixed) => return *mixed,
    };
    let kind = match sent(&body, |fields| fields.choice("kind", &["ACTIVE_3D", "FLASHING"])) {
        Ok(kind) => kind,
        Err(failure) => return failure.into_response(),
    };
    let kind = match kind {
        Some("ACTIVE_3D") => Some(LivenessMethod::Active3d),
        Some("FLASHING") => Some(LivenessMethod::Flashing),
        _ => None,
    };
    match app.service.begin_challenge(visitor.token(), kind).await {
        Ok(given) => ([(header::CACHE_CONTROL, "no-store")], Json(json!(given))).into_response(),
        Err(error) => answer(&app, &visitor, error),
    }
}

/// `POST /session/{token}/frames` — takes a batch of frames.
pub(crate) async fn frames(State(app): State<App>, Program(visitor): Program, request: Request) -> Response {
    let mut form = match Form::read(request, FRAMES).await {
        Ok(form) => form,
        Err(failure) => return failure.into_response(),
    };
    let visitor = match visitor.acting(&app, form.text(KEY_FIELD)) {
        Ok(visitor) => visitor,
        Err(mixed) => return *mixed,
    };
    let read = form.read_fields(|fields| {
        let _ = fields.text(KEY_FIELD, KEY_LENGTH);
        let nonce = fields.required_text("nonce", 32).unwrap_or_default();
        let index = fields.integer("batch", 0, 1_000).and_then(|index| usize::try_from(index).ok());
        if index.is_none() {
            fields.complain("batch", "This field is required.");
        }
        let last = fields.boolean("last").unwrap_or(false);
        let camera = fields.text("camera", 300).unwrap_or_default();
        let times: Option<Vec<u64>> = fields
            .required_text("times", 400)
            .unwrap_or_default()
            .split(',')
            .map(|time| time.trim().parse().ok().filter(|ms| *ms < 3_600_000))
            .collect();
        if times.is_none() {
            fields.complain("times", "Whole milliseconds, one for each frame, separated by commas.");
        }
        (nonce, index, last, camera, times)
    });
    let frames: Vec<Vec<u8>> =
        FRAMES.iter().map_while(|field| form.file(field.name)).map(|bytes| bytes.to_vec()).collect();
    let (nonce, index, last, camera, times) = match read {
        Ok(read) => read,
        Err(failure) => return failure.into_response(),
    };
    let batch = FrameBatch {
        nonce,
        index: index.unwrap_or_default(),
        last,
        at_ms: times.unwrap_or_default(),
        frames,
        camera,
    };
    match app.service.take_frames(visitor.token(), batch).await {
        Ok(()) => done(&app, &visitor).await,
        Err(error) => answer(&app, &visitor, error),
    }
}

fn answer(app: &App, visitor: &super::routes::Visitor, error: CaptureError) -> Response {
    match error {
        CaptureError::Picture { code, message } => {
            refused(app, visitor, StatusCode::BAD_REQUEST, code, &message)
        }
        CaptureError::Busy => Failure::busy(2).into_response(),
        CaptureError::Refused(error) => not_now(app, visitor, error),
    }
}
