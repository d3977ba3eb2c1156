//! Refuses query parameters that the operation does not declare.
//!
//! The list of routes makes the OpenAPI document, and the document says which
//! parameters each operation takes. The same document is the check, so a new
//! operation is strict without a word, and a parameter that is read but not
//! declared cannot be used.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use axum::{
    extract::{MatchedPath, Query, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::{Map, json};
use utoipa::openapi::{
    OpenApi, RefOr,
    path::{Operation, ParameterIn},
};

use super::{body::printable, failure::Failure, fields::unknown};

/// Parameters of the documented API that this server does not act on: operation, parameter, what to do instead.
const UNSUPPORTED: &[(&str, &str, &str)] = &[
    ("/v3/session/{session_id}/decision/", "include", "read the decision without events."),
    ("/v3/sessions/", "search", "what a person is called is sealed; use vendor_data."),
    ("/v3/sessions/", "document_name", "use document_type."),
    ("/v3/sessions/", "region", "use country."),
    ("/v3/sessions/", "session_type", "use api_service for single checks."),
    ("/v3/sessions/", "screened_full_name", "what a person is called is sealed; use vendor_data."),
    ("/v3/sessions/", "warning", "warnings are sealed; read the decisions."),
    ("/v3/sessions/", "status_initialized_as_in_review", "use status."),
    ("/v3/sessions/", "is_kyc_to_be_reviewed", "use status=In Review."),
    ("/v3/sessions/", "euuid", "use didit_internal_id."),
    ("/v3/sessions/", "organization_name", "companies are not verified here."),
];

/// What each operation declares, by method and path.
pub(crate) struct Declared(BTreeMap<(&'static str, String), Vec<String>>);

impl Declared {
    /// Reads the declarations out of the document.
    pub(crate) fn of(document: &OpenApi) -> Arc<Self> {
        let mut all = BTreeMap::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    all.insert((method, path.clone()), parameters(operation));
                }
            }
        }
        Arc::new(Self(all))
    }

    fn complaints(&self, method: &str, path: &str, names: &[String]) -> Map<String, serde_json::Value> {
        let entry = self.0.iter().find(|((known, template), _)| *known == method && template == path);
        let Some((_, declared)) = entry else { return Map::new() };
        let mut seen = HashSet::new();
        names
            .iter()
            .filter(|name| seen.insert(name.as_str()) && !declared.contains(name))
            .take(20)
            .map(|name| {
                let advice = UNSUPPORTED.iter().find(|(of, known, _)| *of == path && known == name);
                let text = match advice {
                    Some((_, _, advice)) => format!("This is not supported by this server: {advice}"),
                    None => unknown("parameter", name, declared),
                };
                (printable(name), json!([text]))
            })
            .collect()
    }
}

fn parameters(operation: &Operation) -> Vec<String> {
    let all = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    all.filter(|parameter| parameter.parameter_in == ParameterIn::Query)
        .map(|parameter| parameter.name.clone())
        .collect()
}

/// The layer around the operations of the API.
pub(crate) async fn refuse_undeclared(
    State(declared): State<Arc<Declared>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().query().is_none_or(str::is_empty) {
        return next.run(request).await;
    }
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()) else {
        return Failure::list("The query string could not be read.").into_response();
    };
    let names: Vec<String> = pairs.into_iter().map(|(name, _)| name).collect();
    // Whoever asks with HEAD asks what GET would answer.
    let method = if request.method() == "HEAD" { "GET" } else { request.method().as_str() };
    let complaints = declared.complaints(method, path.as_str(), &names);
    if complaints.is_empty() {
        return next.run(request).await;
    }
    if path.as_str().starts_with("/v3/") {
        return Failure::fields(complaints).into_response();
    }
    // The other families say it in one sentence.
    let said: Vec<String> = complaints
        .iter()
        .map(|(name, texts)| {
            format!("{name}: {}", texts.get(0).and_then(|text| text.as_str()).unwrap_or_default())
        })
        .collect();
    let said = said.join(" ");
    if path.as_str() == "/verify-age" {
        return Failure::error(StatusCode::BAD_REQUEST, &said).into_response();
    }
    Failure::detail(StatusCode::BAD_REQUEST, "unknown_parameter", &said).into_response()
}
