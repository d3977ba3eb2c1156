//! Serves the HTTP API and the hosted pages.
//!
//! One file an operation under `api/`; what operations share is in `http/`;
//! the person's pages are in `hosted/`. `router` and [`openapi`] are made from
//! one list of routes, so the document cannot miss an operation.

mod api;
mod app;
mod connections;
mod hosted;
mod http;
mod layers;
mod listen;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ResponseBuilder,
        security::{ApiKey, ApiKeyValue, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use crate::{
    app::Settings,
    connections::ConnectionLimits,
    http::upload::BodyLimits,
    listen::{Tls, TlsError, raise_open_files, serve},
};

use crate::{
    app::App,
    http::queries::{Declared, refuse_undeclared},
};

/// Largest body of a form with pictures.
const FORM_BYTES: usize = 24 * 1024 * 1024;
/// Largest JSON body.
const JSON_BYTES: usize = 5 * 1024 * 1024;
/// Largest body of operations that need no key, and of small forms.
const SMALL_BYTES: usize = 16 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bonafide",
        description = "Identity verification on your own machine. Wire-compatible with the v3 API that existing clients speak.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&KeyScheme),
    security(("ApiKeyAuth" = []))
)]
struct Document;

struct KeyScheme;

impl Modify for KeyScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
        document.components.get_or_insert_default().add_security_scheme("ApiKeyAuth", scheme);
    }
}

fn api() -> (Router<App>, utoipa::openapi::OpenApi) {
    let json = OpenApiRouter::new()
        .routes(routes!(api::sessions::create::handler))
        .routes(routes!(api::sessions::decision::handler))
        .routes(routes!(api::sessions::list::handler))
        .routes(routes!(api::sessions::update_status::handler))
        .routes(routes!(api::sessions::delete::handler))
        .routes(routes!(api::workflows::list, api::workflows::create))
        .routes(routes!(api::workflows::get, api::workflows::update, api::workflows::delete))
        .routes(routes!(api::standalone::aml::handler))
        .routes(routes!(api::sessions::aml_hits::one))
        .routes(routes!(api::sessions::aml_hits::bulk))
        .routes(routes!(api::aml::batch::handler))
        .routes(routes!(api::aml::lists::list))
        .routes(routes!(api::aml::lists::diff))
        .routes(routes!(api::aml::replay::handler))
        .routes(routes!(api::aml::yente::match_entities))
        .routes(routes!(api::aml::yente::search))
        .routes(routes!(api::aml::yente::find))
        .routes(routes!(api::aml::reconcile::manifest, api::aml::reconcile::queries))
        .routes(routes!(api::aml::reconcile::suggest))
        .routes(routes!(api::aml::yente::catalog))
        .routes(routes!(api::aml::yente::algorithms))
        .routes(routes!(api::aml::yente::healthz))
        .routes(routes!(api::aml::yente::readyz))
        .routes(routes!(api::chip::trust::list))
        .routes(routes!(api::consents::list, api::consents::record))
        .routes(routes!(api::consents::withdraw))
        .routes(routes!(api::face_lists::all::handler, api::face_lists::create::handler))
        .routes(routes!(api::face_lists::get::handler, api::face_lists::delete::handler))
        .routes(routes!(api::face_lists::entries::handler, api::face_lists::add_session::handler))
        .routes(routes!(api::face_lists::add_picture::handler))
        .routes(routes!(api::face_lists::remove::handler))
        .routes(routes!(api::face_lists::blocked::handler))
        .routes(routes!(api::face_lists::block::handler))
        .routes(routes!(api::face_lists::unblock::handler))
        .routes(routes!(api::media::handler))
        .routes(routes!(api::system::healthcheck))
        .routes(routes!(api::system::ready))
        .layer(DefaultBodyLimit::max(JSON_BYTES));
    let forms = OpenApiRouter::new()
        .routes(routes!(api::standalone::id_verification::handler))
        .routes(routes!(api::standalone::face_match::handler))
        .routes(routes!(api::standalone::face_search::handler))
        .routes(routes!(api::standalone::passive_liveness::handler))
        .routes(routes!(api::standalone::age_estimation::handler))
        .routes(routes!(api::standalone::nfc_verification::handler))
        .routes(routes!(api::chip::trust::diff))
        .routes(routes!(api::chip::trust::import))
        .layer(DefaultBodyLimit::max(FORM_BYTES));
    let open = OpenApiRouter::new()
        .routes(routes!(api::verify_age::handler))
        .routes(routes!(api::chip::ticket::handler))
        .layer(DefaultBodyLimit::max(SMALL_BYTES));
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(json)
        .merge(forms)
        .merge(open)
        .split_for_parts();
    name_operations(&mut document);
    let declared = Declared::of(&document);
    (router.route_layer(from_fn_with_state(declared, refuse_undeclared)), document)
}

/// Gives every operation an id of its own, `method_path`, which programs that make clients from the document need, and
/// the refusal that each of them can answer.
fn name_operations(document: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let words: Vec<String> = path
            .split('/')
            .filter(|word| !word.is_empty())
            .map(|word| word.replace(['{', '}'], "").replace('-', "_"))
            .collect();
        let words = words.join("_");
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{method}_{words}"));
                // Each refuses parameters that it does not declare.
                let refusal = || {
                    ResponseBuilder::new().description("A field or parameter is wrong or unknown.").build()
                };
                operation.responses.responses.entry("400".to_owned()).or_insert_with(|| refusal().into());
            }
        }
    }
}

/// The OpenAPI 3.1 document of the API.
pub fn openapi() -> String {
    let mut text = api().1.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Everything that is served.
pub(crate) fn router(app: App) -> Router {
    let hosted = Router::new()
        .route("/session/{token}", get(hosted::routes::page))
        .route("/session/{token}/state", get(hosted::routes::state))
        .route("/session/{token}/consent", post(hosted::routes::consent))
        .route("/session/{token}/skip-back", post(hosted::routes::skip_back))
        .route("/session/{token}/submit", post(hosted::routes::submit))
        .route("/session/{token}/challenge", post(hosted::challenge::begin))
        .route("/session/{token}/withdraw", post(hosted::routes::withdraw))
        .route("/", get(hosted::routes::home))
        .route("/u/{link}", get(hosted::unilink::page).post(hosted::unilink::start))
        .layer(DefaultBodyLimit::max(SMALL_BYTES));
    let captures = Router::new()
        .route("/session/{token}/capture/{side}", post(hosted::routes::capture))
        .route("/session/{token}/frames", post(hosted::challenge::frames))
        .layer(DefaultBodyLimit::max(FORM_BYTES));
    let others = Router::new()
        .route("/static/{name}", get(hosted::pages::asset))
        .route("/metrics", get(api::system::metrics))
        .route("/v1/chip/relay/", get(api::chip::relay::handler))
        .route("/openapi.json", get(|| async { ([("content-type", "application/json")], openapi()) }));
    let routes = api().0.merge(hosted).merge(captures).merge(others);
    layers::around(routes, app)
}
