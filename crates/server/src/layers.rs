//! What surrounds every request: a measured, logged, panic-safe answer with safe headers.

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
};
use std::{sync::Arc, time::Instant};

use crate::{
    app::App,
    connections::Connection,
    http::{failure::Failure, upload::Metered},
};

/// Puts the layers around the routes.
pub(crate) fn around(routes: Router<App>, app: App) -> Router {
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// An address that is nothing; one that only lacks its last slash is sent on.
async fn unknown(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    if method == Method::GET && path.starts_with("/v3/") && !path.ends_with('/') {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        return Redirect::permanent(&format!("{path}/{query}")).into_response();
    }
    Failure::not_found().into_response()
}

async fn wrong_method(method: Method) -> Response {
    let text = format!("Method \"{method}\" not allowed.");
    Failure::detail(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &text).into_response()
}

/// Runs the handler, holding the body to its deadlines and to the memory there is for bodies.
async fn answer(app: &App, mut request: Request, next: Next) -> Response {
    // A client that resets its streams leaves their work behind: that is counted until it ends.
    let work = match request.extensions().get::<Arc<Connection>>().map(Connection::work) {
        Some(None) => return Failure::busy(1).into_response(),
        counted => counted.flatten(),
    };
    let upload = app.uploads.begin();
    request.extensions_mut().insert(Arc::clone(&upload));
    let (metered, held) = (Arc::clone(&upload), Arc::clone(&upload));
    let request = request.map(|body| Body::new(Metered::new(body, metered)));
    // A handler that panics answers 500 and takes nothing else down. It runs to its end without its client,
    // too, and holds the bytes of the body as long.
    let handled = tokio::spawn(async move {
        let response = next.run(request).await;
        drop((work, held));
        response
    });
    let response = match handled.await {
        Ok(response) => response,
        Err(error) => Failure::internal(&error).into_response(),
    };
    // The handler saw a body that broke off; the client hears why.
    upload.failure().map_or(response, IntoResponse::into_response)
}

/// Counts, logs without personal data, and sets the headers that every answer has.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let mut response = answer(&app, request, next).await;
    let took = started.elapsed();
    let status = response.status().as_u16();
    app.metrics.answered(method.as_str(), &route, status, took);
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of one request")]
    let duration_ms = took.as_millis() as u64;
    tracing::info!(http.method = %method, http.route = %route, http.status = status, duration_ms, "answered {method} {route} with {status}");
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert_with(|| HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert_with(|| HeaderValue::from_static("no-store"));
    if app.settings.public_url.starts_with("https://") {
        headers
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert_with(|| HeaderValue::from_static("max-age=31536000"));
    }
    response
}
