//! `/u/{link}` — a workflow's reusable link.
//!
//! Opening it shows a page; only its button starts a session, so previews and
//! crawlers start none. The link is public: what it starts is limited by address.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use service::sessions::StartError;

use super::{
    cookies::link_mark,
    pages::Language,
    routes::{begun, enter, is_framed, leads_to},
};
use crate::{
    app::{App, ClientAddress},
    http::{body::read_small, failure::Failure, limit::Budget},
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
///
/// A browser that came back to the link before agreeing to anything gets the session that it began. One in which
/// somebody agreed is never given again: the next person may stand at the same device.
pub(crate) async fn start(
    State(app): State<App>,
    client: ClientAddress,
    Path(link): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let language = Language::of(None, &headers);
    if let Err(failure) = app.addresses.count(&client.0, Budget::Unilink, app.now_s()) {
        return failure.into_response();
    }
    // The button sends nothing beside the link.
    if let Err(failure) = read_small(&body, |_| ()) {
        return failure.into_response();
    }
    let mark = link_mark(&link);
    match begun(&app, &headers, &mark).await {
        Ok(Some(path)) => return leads_to(&path),
        Ok(None) => {}
        Err(error) => return Failure::from(error).into_response(),
    }
    match app.service.start_from_link(&link).await {
        // Browsers keep cookies of framed pages back.
        Ok(token) if is_framed(&headers) => leads_to(&format!("/session/{token}")),
        Ok(token) => match app.service.view(&token).await {
            Ok(Some(view)) => enter(&app, &headers, &token, &view, Some(mark)).await,
            Ok(None) => app.pages.lost(language, &app.settings.frame_ancestors),
            Err(error) => Failure::from(error).into_response(),
        },
        Err(StartError::UnknownWorkflow | StartError::Portrait(_) | StartError::Expected(_)) => {
            app.pages.lost(language, &app.settings.frame_ancestors)
        }
        Err(StartError::Store(error)) => Failure::from(error).into_response(),
        Err(error) => Failure::internal(&error).into_response(),
    }
}
