//! `/v3/workflows/…` — what is checked, in which order, with which settings.
//!
//! One file for the five operations: they share the reading of a definition
//! and the shape of the answer, and each is a few lines.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde_json::{Map, Value, json};
use service::workflows::{Saved, Stored};
use workflow::{Definition, Feature, InvalidDefinition, Node, NodeConfig};

use crate::{
    api::{Detail, FieldErrors},
    app::App,
    http::{
        body::{JsonObject, printable},
        caller::{Caller, ManageWorkflows, ReadSessions},
        failure::Failure,
        fields::Fields,
        parts::{Ids, QueryFields},
    },
};

fn shown(workflow: &Stored, app: &App) -> Value {
    let features: Vec<&str> = workflow.definition.nodes.iter().map(|node| node.feature.name()).collect();
    json!({
        "uuid": workflow.id,
        "workflow_id": workflow.id,
        "workflow_label": workflow.label,
        "workflow_type": if workflow.definition.recognises_returning() { "biometric_authentication" } else { "kyc" },
        "is_default": workflow.is_default,
        "is_archived": false,
        "is_white_label_enabled": false,
        "total_price": 0,
        "min_price": 0,
        "max_price": 0,
        "features": features.join(" + "),
        "is_simple_workflow": true,
        "is_editable": true,
        "workflow_url": format!("{}/u/{}", app.settings.public_url.trim_end_matches('/'), workflow.link_token),
        "max_retry_attempts": workflow.definition.max_retry_attempts,
        "retry_window_days": 7,
        "session_expiration_time": workflow.definition.session_expiration_s,
        "version": workflow.version,
        "status": "published",
        "has_draft": false,
        "created_by": null,
        "updated_at": workflow.updated_at,
    })
}

/// The settings beside the list view: every feature with its configuration.
fn detailed(workflow: &Stored, app: &App) -> Value {
    let mut body = shown(workflow, app);
    body["features"] = workflow
        .definition
        .nodes
        .iter()
        .map(|node| json!({ "feature": node.feature.name(), "node_id": node.id, "config": node.config }))
        .collect();
    body
}

/// Reads what a request says about a workflow on top of what there is.
fn read(body: Map<String, Value>, current: Option<&Stored>) -> Result<Saved, Failure> {
    let mut fields = Fields::new(body);
    let label = fields.text("workflow_label", 50);
    let is_default = fields.boolean("is_default");
    let _ = fields.choice("status", &["draft", "published"]);
    let expiration = fields.integer("session_expiration_time", 3_600, 2_419_200);
    let retries = fields.integer("max_retry_attempts", 0, 10);
    let features = fields.any("features");
    fields.finish()?;
    let mut definition = current.map_or_else(|| Definition::of(&[]), |stored| stored.definition.clone());
    if let Some(features) = features {
        definition.nodes = nodes(&features)?;
    }
    if let Some(seconds) = expiration {
        definition.session_expiration_s = u32::try_from(seconds).unwrap_or(604_800);
    }
    if let Some(retries) = retries {
        definition.max_retry_attempts = u8::try_from(retries).unwrap_or(3);
    }
    definition.validate().map_err(|error| match &error {
        InvalidDefinition::Range { field, .. } => Failure::field(field, &error.to_string()),
        _ => Failure::field("features", &error.to_string()),
    })?;
    Ok(Saved {
        label: label
            .or_else(|| current.map(|stored| stored.label.clone()))
            .unwrap_or_else(|| "ID Verification".to_owned()),
        is_default: is_default.or_else(|| current.map(|stored| stored.is_default)).unwrap_or(false),
        definition,
    })
}

fn nodes(features: &Value) -> Result<Vec<Node>, Failure> {
    let entries =
        features.as_array().ok_or_else(|| Failure::field("features", "Expected a list of items."))?;
    if entries.len() > 50 {
        return Err(Failure::field("features", "Ensure this field has no more than 50 elements."));
    }
    entries
        .iter()
        .map(|entry| {
            let name = entry["feature"].as_str().or_else(|| entry.as_str()).unwrap_or_default();
            let feature =
                Feature::ALL.into_iter().find(|feature| feature.name() == name).ok_or_else(|| {
                    let mut known: Vec<&str> = Feature::ALL.iter().map(|feature| feature.name()).collect();
                    known.sort_unstable();
                    let text = format!(
                        "Invalid feature '{}'. Allowed values: {}.",
                        printable(name),
                        known.join(", ")
                    );
                    Failure::field("features", &text)
                })?;
            let config = match &entry["config"] {
                Value::Null => NodeConfig::default(),
                config => serde_json::from_value(config.clone()).map_err(|error| {
                    Failure::field("features", &format!("Feature '{name}': config is not valid: {error}."))
                })?,
            };
            if feature == Feature::Aml {
                service::screening::Settings::of_node(&config)
                    .map_err(|text| Failure::field("features", &format!("Feature 'AML': {text}")))?;
            }
            Ok(Node { id: format!("feature_{}", feature.name().to_lowercase()), feature, config })
        })
        .collect()
}

/// The workflows of an application.
#[utoipa::path(get, path = "/v3/workflows/", tag = "workflows",
    params(("limit" = Option<u32>, Query, description = "1 to 200; 50 without it."), ("offset" = Option<u32>, Query, description = "How many to pass over.")),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn list(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    QueryFields(mut fields): QueryFields,
) -> Result<Response, Failure> {
    let (limit, offset) = fields.page();
    fields.finish()?;
    let workflows = app.service.workflows(&caller.access).await?;
    let page: Vec<Value> = workflows
        .iter()
        .skip(offset as usize)
        .take(limit as usize)
        .map(|workflow| shown(workflow, &app))
        .collect();
    Ok(caller
        .answer(Json(json!({ "count": workflows.len(), "next": null, "previous": null, "results": page }))))
}

/// Makes a workflow.
#[utoipa::path(post, path = "/v3/workflows/", tag = "workflows", request_body = Object,
    responses((status = 201, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn create(
    caller: Caller<ManageWorkflows>,
    State(app): State<App>,
    JsonObject(body): JsonObject,
) -> Result<Response, Failure> {
    let saved = read(body, None)?;
    let workflow = app.service.create_workflow(&caller.access, saved).await?;
    Ok(caller.answer((StatusCode::CREATED, Json(detailed(&workflow, &app)))))
}

/// One workflow with its settings.
#[utoipa::path(get, path = "/v3/workflows/{settings_uuid}/", tag = "workflows",
    params(("settings_uuid" = uuid::Uuid, Path, description = "The workflow.")),
    responses((status = 200, body = Object), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn get(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    Ids(id): Ids,
) -> Result<Response, Failure> {
    let workflow = find(&caller, &app, id).await?;
    Ok(caller.answer(Json(detailed(&workflow, &app))))
}

/// Changes a workflow; sessions that run keep the version they began with.
#[utoipa::path(patch, path = "/v3/workflows/{settings_uuid}/", tag = "workflows", request_body = Object,
    params(("settings_uuid" = uuid::Uuid, Path, description = "The workflow.")),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn update(
    caller: Caller<ManageWorkflows>,
    State(app): State<App>,
    Ids(id): Ids,
    JsonObject(body): JsonObject,
) -> Result<Response, Failure> {
    let current = find(&caller, &app, id).await?;
    let saved = read(body, Some(&current))?;
    let workflow = app
        .service
        .update_workflow(&caller.access, current.id, saved)
        .await?
        .ok_or_else(Failure::not_found)?;
    Ok(caller.answer(Json(detailed(&workflow, &app))))
}

/// Takes a workflow out of use; its sessions stay.
#[utoipa::path(delete, path = "/v3/workflows/{settings_uuid}/", tag = "workflows",
    params(("settings_uuid" = uuid::Uuid, Path, description = "The workflow.")),
    responses((status = 204), (status = 403, body = Detail), (status = 404, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn delete(
    caller: Caller<ManageWorkflows>,
    State(app): State<App>,
    Ids(id): Ids,
) -> Result<Response, Failure> {
    if !app.service.archive_workflow(&caller.access, id.into()).await? {
        return Err(Failure::not_found());
    }
    Ok(caller.answer(StatusCode::NO_CONTENT))
}

async fn find<S: crate::http::caller::Scope>(
    caller: &Caller<S>,
    app: &App,
    id: uuid::Uuid,
) -> Result<Stored, Failure> {
    app.service.workflow(&caller.access, id.into()).await?.ok_or_else(Failure::not_found)
}
