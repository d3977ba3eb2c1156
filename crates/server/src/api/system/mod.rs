//! Health, readiness, metrics: for load balancers and operators.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// How the process is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: String,
    /// The server's time.
    #[schema(format = DateTime)]
    timestamp: String,
}

/// Says that the process answers.
#[utoipa::path(get, path = "/system/healthcheck", tag = "system", security(()), responses(
    (status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn healthcheck(State(app): State<App>) -> Response {
    health(&app, true)
}

/// Says whether requests can be served: the database answers.
#[utoipa::path(get, path = "/system/ready", tag = "system", security(()), responses(
    (status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let ready = app.service.is_ready().await;
    health(&app, ready)
}

fn health(app: &App, ok: bool) -> Response {
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = if ok { "ok" } else { "unavailable" };
    (status, Json(Health { status: text.to_owned(), timestamp: app.timestamp().to_string() })).into_response()
}

/// `GET /metrics` in the Prometheus text format; only for callers on this machine.
pub(crate) async fn metrics(State(app): State<App>, client: crate::app::ClientAddress) -> Response {
    if !client.0.is_loopback() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let load = app.service.load();
    let (connections, bodies) = (app.connections.counts(), app.uploads.counts());
    let gauges = [
        ("bonafide_checks_running", "Checks that compute now.", load.running as f64),
        ("bonafide_checks_waiting", "Checks that wait for a core.", load.waiting as f64),
        ("bonafide_checks_refused_total", "Checks refused because the queue was full.", load.refused as f64),
        ("bonafide_connections_open", "Connections that are open now.", connections.open as f64),
        (
            "bonafide_connections_accepted_total",
            "Connections that were taken in.",
            connections.accepted as f64,
        ),
        ("bonafide_connections_refused_total", "Connections refused at a cap.", connections.refused as f64),
        (
            "bonafide_connections_evicted_total",
            "Waiting connections closed at a cap to make room.",
            connections.evicted as f64,
        ),
        (
            "bonafide_connections_timed_out_total",
            "Connections closed because the client took too long.",
            connections.timed_out as f64,
        ),
        ("bonafide_relays_open", "Devices connected to read a chip.", app.relays.count() as f64),
        ("bonafide_bodies_reading", "Request bodies that are being read.", bodies.reading as f64),
        ("bonafide_bodies_held_bytes", "Bytes of request bodies in memory.", bodies.held_bytes as f64),
        (
            "bonafide_bodies_refused_total",
            "Request bodies refused for lack of memory.",
            bodies.refused as f64,
        ),
        (
            "bonafide_bodies_timed_out_total",
            "Request bodies that stalled or came too slowly.",
            bodies.timed_out as f64,
        ),
    ];
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render(&gauges)).into_response()
}
