//! A service, without models unless a test asks for them, under a clock that the test moves, and one person on the way through a session of its first
//! workflow, with plain grey pictures.

#![allow(dead_code, reason = "each test uses a part")]

use std::{path::Path, sync::Arc};

use service::{
    Engines, Service,
    sessions::{NewSession, StartAnswer},
};
use store::{Config, Store, TestClock, Time};
use workflow::Capture;

/// A service in a folder, its clock and a key; `None` when it cannot be opened.
pub(crate) async fn service(folder: &Path) -> Option<(Service, Arc<TestClock>, String)> {
    service_with(folder, &folder.join("no-models")).await
}

/// The same with the models of a folder.
pub(crate) async fn service_with(folder: &Path, models: &Path) -> Option<(Service, Arc<TestClock>, String)> {
    // A test of this crate has no program that could be started as a decoder.
    decoder::use_this_process();
    let clock = Arc::new(TestClock::at(Time::from_seconds(1_767_225_600)));
    let mut config = Config::in_folder(folder);
    config.clock = Arc::clone(&clock) as _;
    let store = Store::open(config).await.ok()?;
    let service = Service::new(store, Engines::open(models).ok()?, folder);
    let ready = service.make_ready("test").await.ok()?;
    let key = service.create_key(ready.application, "test", Vec::new()).await.ok()?.api_key;
    Some((service, clock, key))
}

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

/// Agrees and hands in the document; `None` when a step was refused or failed.
pub(crate) async fn until_selfie(service: &Service, token: &str) -> Option<()> {
    service.consent(token, "en", "text").await.ok()?;
    service.capture(token, Capture::Front, picture(), "upload").await.ok()?;
    service.skip_back(token).await.ok()
}

/// Hands everything in and submits; `None` when a step was refused or failed.
pub(crate) async fn hand_in(service: &Service, token: &str) -> Option<()> {
    until_selfie(service, token).await?;
    service.capture(token, Capture::Selfie, picture(), "upload").await.ok()?;
    service.submit(token).await.ok()
}
