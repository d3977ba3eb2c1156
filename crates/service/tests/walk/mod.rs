//! One person on the way through a session of the first workflow, with plain grey pictures.

use service::{
    Service,
    sessions::{NewSession, StartAnswer},
};
use workflow::Capture;

fn picture() -> Vec<u8> {
    imaging::encode_jpeg(&imaging::RgbImage::from_pixel(64, 64, [128; 3].into()), 80)
}

/// Starts a session and gives its token; `None` when that was refused or failed.
pub(crate) async fn start(service: &Service, key: &str) -> Option<String> {
    let access = service.authenticate(key).await.ok()??;
    let workflow = service.workflows(&access).await.ok()?.first()?.id;
    let new = NewSession {
        workflow,
        vendor_data: None,
        callback: None,
        callback_method: "initiator".to_owned(),
        metadata: None,
        language: None,
        contact_details: None,
        expected_details: None,
        portrait: None,
    };
    let answer =
        service.start(&access, new, None, |started| started.token.clone().into_bytes()).await.ok()?;
    let StartAnswer::Made(token) = answer else { return None };
    String::from_utf8(token).ok()
}

/// Hands everything in and submits; `None` when a step was refused or failed.
pub(crate) async fn hand_in(service: &Service, token: &str) -> Option<()> {
    service.consent(token, "en", "text").await.ok()?;
    service.capture(token, Capture::Front, picture(), "upload").await.ok()?;
    service.skip_back(token).await.ok()?;
    service.capture(token, Capture::Selfie, picture(), "upload").await.ok()?;
    service.submit(token).await.ok()
}
