//! `/u/{link}` — a workflow's reusable link.
//!
//! Opening it shows a page; only its button starts a session, so previews and
//! crawlers start none. The link is public: what it starts is limited by address.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Redirect, Response},
};
use service::sessions::StartError;

use super::pages::Language;
use crate::{
    app::{App, ClientAddress},
    http::{failure::Failure, limit::Budget},
};

/// `GET /u/{link}` — who asks, and a button.
pub(crate) async fn page(
    State(app): State<App>,
    client: ClientAddress,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    let language = Language::of(None, &headers);
    if let Err(failure) = app.addresses.count(&client.0, Budget::HostedPage, app.now_s()) {
        return failure.into_response();
    }
    match app.service.link_owner(&link).await {
        Ok(Some(application)) => {
            app.pages.start(&application, &link, language, &app.settings.frame_ancestors)
        }
        Ok(None) => app.pages.lost(language, &app.settings.frame_ancestors),
        Err(error) => Failure::from(error).into_response(),
    }
}

/// `POST /u/{link}` — starts a session and leads to it.
pub(crate) async fn start(
    State(app): State<App>,
    client: ClientAddress,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    let language = Language::of(None, &headers);
    if let Err(failure) = app.addresses.count(&client.0, Budget::Unilink, app.now_s()) {
        return failure.into_response();
    }
    match app.service.start_from_link(&link).await {
        Ok(token) => ([(header::CACHE_CONTROL, "no-store")], Redirect::to(&format!("/session/{token}")))
            .into_response(),
        Err(StartError::UnknownWorkflow | StartError::Portrait(_)) => {
            app.pages.lost(language, &app.settings.frame_ancestors)
        }
        Err(StartError::Store(error)) => Failure::from(error).into_response(),
        Err(error) => Failure::internal(&error).into_response(),
    }
}
