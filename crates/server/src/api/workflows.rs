//! `/v3/workflows/…` — what is checked, in which order, with which settings.
//!
//! One file for the five operations: they share the reading of a definition
//! and the shape of the answer, and each is a few lines.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use service::workflows::{Saved, Stored};
use utoipa::ToSchema;
use workflow::{Definition, Feature, InvalidDefinition, Node, NodeConfig, settings};

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

fn type_of(definition: &Definition) -> &'static str {
    if definition.recognises_returning() { "biometric_authentication" } else { "kyc" }
}

fn shown(workflow: &Stored, app: &App) -> Value {
    let features: Vec<&str> = workflow.definition.nodes.iter().map(|node| node.feature.name()).collect();
    json!({
        "uuid": workflow.id,
        "workflow_id": workflow.id,
        "workflow_label": workflow.label,
        "workflow_type": type_of(&workflow.definition),
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
        "max_retry_attempts": 0,
        "retry_window_days": null,
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
        .map(|node| {
            json!({
                "feature": node.feature.name(), "node_id": node.id, "label": node.label,
                "config": node.config.published(node.feature),
            })
        })
        .collect();
    body
}

/// What makes a workflow, or changes one: only what is sent is changed.
#[derive(Deserialize, ToSchema)]
#[schema(as = WorkflowBody)]
#[expect(
    dead_code,
    reason = "documents the body; fields are read one by one so that all complaints come together"
)]
pub(crate) struct Body {
    /// What its owner calls it, at most 50 characters.
    #[schema(default = "ID Verification")]
    workflow_label: Option<String>,
    /// Whether it is the application's default.
    is_default: Option<bool>,
    /// Only `published`: there are no drafts.
    status: Option<String>,
    /// The checks, in order: `OCR`, `NFC`, `LIVENESS`, `FACE_MATCH`, `AML`, `AGE_ESTIMATION`; as objects with `feature`,
    /// `config` and `label`, or as names. The settings of each stand in docs/requests.md.
    features: Option<Vec<Value>>,
    /// Only `true`: pages work on desktops.
    is_desktop_allowed: Option<bool>,
    /// How often a person may try an active challenge, 1 to 3.
    face_liveness_max_attempts: Option<u8>,
    /// Only 0: a session is decided once.
    max_retry_attempts: Option<u8>,
    /// Seconds until an unfinished session expires, 3,600 to 2,419,200.
    session_expiration_time: Option<u32>,
    /// The older form of `features`: `kyc` or `biometric_authentication`.
    workflow_type: Option<String>,
    /// The older form: puts the check in, or takes it out.
    is_ocr_enabled: Option<bool>,
    /// The same for the chip.
    is_nfc_enabled: Option<bool>,
    /// The same for liveness.
    is_liveness_enabled: Option<bool>,
    /// The same for the comparison of faces.
    is_face_match_enabled: Option<bool>,
    /// The same for screening.
    is_aml_enabled: Option<bool>,
    /// The same for the estimated age.
    is_age_estimation_enabled: Option<bool>,
}

/// Switches of the older body, by feature.
const SWITCHES: &[(&str, Feature)] = &[
    ("is_ocr_enabled", Feature::Ocr),
    ("is_nfc_enabled", Feature::Nfc),
    ("is_liveness_enabled", Feature::Liveness),
    ("is_face_match_enabled", Feature::FaceMatch),
    ("is_aml_enabled", Feature::Aml),
    ("is_age_estimation_enabled", Feature::AgeEstimation),
];

const NO_RETRIES: &str = "a session is decided once; make a new one, or set it to Resubmitted.";
const NO_SUCH_CHECK: &str = "it has no such check.";

/// Documented fields that this server does not act on.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("is_white_label_enabled", "the pages carry no brand but the application's name; leave it out."),
    ("retry_window_days", NO_RETRIES),
    ("face_match_max_attempts", NO_RETRIES),
    ("is_phone_verification_enabled", NO_SUCH_CHECK),
    ("is_email_verification_enabled", NO_SUCH_CHECK),
    ("is_database_validation_enabled", NO_SUCH_CHECK),
    ("is_ip_analysis_enabled", NO_SUCH_CHECK),
    ("is_proof_of_address_enabled", NO_SUCH_CHECK),
    ("is_poa_enabled", NO_SUCH_CHECK),
    ("is_questionnaire_enabled", NO_SUCH_CHECK),
    ("is_document_ai_enabled", NO_SUCH_CHECK),
];

/// What a request says, as far as it can be read without the workflow that it changes.
struct Asked {
    label: Option<String>,
    is_default: Option<bool>,
    expiration: Option<i32>,
    nodes: Option<Vec<Node>>,
    kind: Option<&'static str>,
    switches: Vec<(Feature, bool)>,
    /// Settings of the older body, which stand beside each other.
    flat: Map<String, Value>,
}

fn read_fields(fields: &mut Fields) -> Asked {
    let label = fields.text("workflow_label", 50);
    if label.as_deref().is_some_and(|label| label.trim().is_empty()) {
        fields.complain("workflow_label", "This field may not be blank.");
    }
    let is_default = fields.boolean("is_default");
    if fields.choice("status", &["draft", "published"]) == Some("draft") {
        fields.complain(
            "status",
            "This is not supported by this server: there are no drafts. Send published, or leave it out.",
        );
    }
    let nodes = fields.any("features").and_then(|features| read_nodes(fields, &features));
    if fields.boolean("is_desktop_allowed") == Some(false) {
        fields.complain(
            "is_desktop_allowed",
            "This is not supported by this server: pages work on desktops too. Send true, or leave it out.",
        );
    }
    let expiration = fields.integer("session_expiration_time", 3_600, 2_419_200);
    // None are made, which is what 0 asks for.
    if fields.integer("max_retry_attempts", 0, 10).is_some_and(|attempts| attempts > 0) {
        fields.complain("max_retry_attempts", &format!("This is not supported by this server: {NO_RETRIES}"));
    }
    let kind = fields.text("workflow_type", 100).and_then(|text| {
        let known = ["kyc", "biometric_authentication"].into_iter().find(|kind| *kind == text);
        if known.is_none() {
            let text = format!(
                "\"{}\" is not supported by this server. Send kyc or biometric_authentication, or features.",
                printable(&text)
            );
            fields.complain("workflow_type", &text);
        }
        known
    });
    let switches =
        SWITCHES.iter().filter_map(|(name, feature)| fields.boolean(name).map(|on| (*feature, on))).collect();
    for (name, advice) in UNSUPPORTED {
        fields.unsupported(name, advice);
    }
    // The newer body has at most three tries.
    let attempts = fields.integer("face_liveness_max_attempts", 1, 3);
    let mut flat = fields.take_all(|name| settings::feature_of(name).is_some());
    fields.hint(Feature::ALL.into_iter().flat_map(settings::names));
    if let Some(attempts) = attempts {
        flat.insert("face_liveness_max_attempts".to_owned(), json!(attempts));
    }
    if nodes.is_some() && kind.is_some() {
        fields.complain("workflow_type", "Send either workflow_type or features.");
    }
    Asked { label, is_default, expiration, nodes, kind, switches, flat }
}

/// Reads what a request says about a workflow on top of what there is.
fn read(body: JsonObject, current: Option<&Stored>) -> Result<Saved, Failure> {
    let asked = body.read(read_fields)?;
    let mut definition = current.map_or_else(|| Definition::of(&[]), |stored| stored.definition.clone());
    if let Some(nodes) = asked.nodes {
        definition.nodes = nodes;
    } else if let Some(kind) = asked.kind {
        let features: &[Feature] =
            if kind == "kyc" { &[Feature::Ocr] } else { &[Feature::Liveness, Feature::FaceMatch] };
        match current {
            Some(current) if type_of(&current.definition) != kind => {
                let text =
                    format!("The type of a workflow stays what it was: {}.", type_of(&current.definition));
                return Err(Failure::field("workflow_type", &text));
            }
            Some(_) => {}
            None => definition = Definition::of(features),
        }
    } else if current.is_none() && !(asked.switches.is_empty() && asked.flat.is_empty()) {
        // The older body is that of an identity check where it says nothing else.
        definition = Definition::of(&[Feature::Ocr]);
    }
    for (feature, on) in asked.switches {
        switch(&mut definition, feature, on);
    }
    apply(&mut definition, asked.flat)?;
    if let Some(seconds) = asked.expiration {
        definition.session_expiration_s = u32::try_from(seconds).unwrap_or(604_800);
    }
    definition.validate().map_err(|error| match &error {
        InvalidDefinition::Range { field, .. } => Failure::field(field, &error.to_string()),
        _ => Failure::field("features", &error.to_string()),
    })?;
    for node in definition.nodes.iter().filter(|node| node.feature == Feature::Aml) {
        service::screening::Settings::of_node(&node.config)
            .map_err(|text| Failure::field("features", &format!("Feature 'AML': {text}")))?;
    }
    Ok(Saved {
        label: asked
            .label
            .or_else(|| current.map(|stored| stored.label.clone()))
            .unwrap_or_else(|| "ID Verification".to_owned()),
        is_default: asked.is_default.or_else(|| current.map(|stored| stored.is_default)).unwrap_or(false),
        definition,
    })
}

/// Puts a check in where it belongs in the documented order, or takes it out.
fn switch(definition: &mut Definition, feature: Feature, on: bool) {
    if !on {
        definition.nodes.retain(|node| node.feature != feature);
    } else if !definition.has(feature) {
        let rank = |feature: Feature| Feature::ALL.iter().position(|known| *known == feature);
        let before = definition.nodes.iter().position(|node| rank(node.feature) > rank(feature));
        let place = before.unwrap_or(definition.nodes.len());
        definition.nodes.insert(place, Node::new(feature, NodeConfig::default()));
    }
}

/// Gives each setting of the older body to the check that it belongs to.
fn apply(definition: &mut Definition, flat: Map<String, Value>) -> Result<(), Failure> {
    let mut complaints = Map::new();
    for (name, value) in flat {
        let Some(feature) = settings::feature_of(&name) else { continue };
        let Some(node) = definition.nodes.iter_mut().find(|node| node.feature == feature) else {
            // Nothing is asked for.
            if !value.is_null() {
                let text = format!("This needs {} in the workflow, which is not there.", feature.name());
                complaints.insert(name, json!([text]));
            }
            continue;
        };
        let mut given = node.config.published(feature);
        // Read with what there is, so that only what the request says can be wrong.
        let unread: Vec<String> = node.config.unread.keys().cloned().collect();
        given.retain(|known, _| !unread.contains(known));
        for other in spellings(&name) {
            given.remove(*other);
        }
        given.insert(name.clone(), value);
        let (mut config, wrong) = settings::read(feature, &given);
        if let Some(complaint) = wrong.into_iter().find(|complaint| complaint.setting == name) {
            complaints.insert(name, json!([complaint.text]));
            continue;
        }
        config.unread = std::mem::take(&mut node.config.unread);
        config.unread.remove(&name);
        node.config = config;
    }
    if complaints.is_empty() { Ok(()) } else { Err(Failure::fields(complaints)) }
}

/// Other names of a setting, whose value the new one replaces.
fn spellings(name: &str) -> &'static [&'static str] {
    match name {
        "aml_decline_threshold" => &["aml_score_review_threshold"],
        "minimum_age_threshold" | "age_estimation_decline_threshold" => &["minimum_age"],
        "is_ongoing_monitoring_enabled" | "is_aml_ongoing_monitoring_enabled" => {
            &["include_ongoing_monitoring"]
        }
        _ => &[],
    }
}

fn read_nodes(fields: &mut Fields, features: &Value) -> Option<Vec<Node>> {
    let Some(entries) = features.as_array() else {
        fields.complain("features", "Expected a list of items.");
        return None;
    };
    if entries.len() > 50 {
        fields.complain("features", "Ensure this field has no more than 50 elements.");
        return None;
    }
    let nodes: Option<Vec<Node>> = entries
        .iter()
        .map(|entry| match entry {
            Value::String(name) => {
                read_feature(fields, name).map(|feature| Node::new(feature, NodeConfig::default()))
            }
            Value::Object(entry) => fields.entry("features", entry.clone(), read_node).flatten(),
            _ => {
                fields.complain("features", "Expected a list of dictionaries or of names.");
                None
            }
        })
        .collect();
    nodes
}

fn read_feature(fields: &mut Fields, name: &str) -> Option<Feature> {
    let feature = Feature::ALL.into_iter().find(|feature| feature.name() == name);
    if feature.is_none() {
        let mut known: Vec<&str> = Feature::ALL.iter().map(|feature| feature.name()).collect();
        known.sort_unstable();
        let text = format!("Invalid feature '{}'. Allowed values: {}.", printable(name), known.join(", "));
        fields.complain("features", &text);
    }
    feature
}

fn read_node(fields: &mut Fields) -> Option<Node> {
    let name = fields.required_text("feature", 100)?;
    let config = fields.object("config").unwrap_or_default();
    let label = fields.text("label", 100).filter(|label| !label.is_empty());
    let id = fields.text("node_id", 200);
    let feature = read_feature(fields, &name)?;
    let (config, complaints) = settings::read(feature, &config);
    for complaint in complaints {
        fields.complain(&format!("{name}.config.{}", printable(&complaint.setting)), &complaint.text);
    }
    let node = Node { label, ..Node::new(feature, config) };
    if id.is_some_and(|id| id != node.id) {
        fields.complain("node_id", &format!("It is given by this server: {}. Leave it out.", node.id));
    }
    Some(node)
}

/// Refuses a workflow that counts on a search for faces which the application does not make.
async fn searchable(app: &App, caller: &Caller<ManageWorkflows>, saved: &Saved) -> Result<(), Failure> {
    if saved.definition.counts_on_face_search()
        && app.service.face_settings(caller.access.application).await?.face_search.is_none()
    {
        return Err(Failure::field(
            "features",
            "LIVENESS.config.face_liveness_possible_duplicated_face_action: Face search is switched off for this application. Its owner can switch it on with a stated purpose: bonafide application set --face-search PURPOSE.",
        ));
    }
    Ok(())
}

/// The workflows of an application.
#[utoipa::path(get, path = "/v3/workflows/", tag = "workflows",
    params(("limit" = Option<u32>, Query, description = "1 to 200; 50 without it."), ("offset" = Option<u32>, Query, description = "How many to pass over.")),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn list(
    caller: Caller<ReadSessions>,
    State(app): State<App>,
    query: QueryFields,
) -> Result<Response, Failure> {
    let (limit, offset) = query.read(Fields::page)?;
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
#[utoipa::path(post, path = "/v3/workflows/", tag = "workflows", request_body = Body,
    responses((status = 201, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn create(
    caller: Caller<ManageWorkflows>,
    State(app): State<App>,
    body: JsonObject,
) -> Result<Response, Failure> {
    let saved = read(body, None)?;
    searchable(&app, &caller, &saved).await?;
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
#[utoipa::path(patch, path = "/v3/workflows/{settings_uuid}/", tag = "workflows", request_body = Body,
    params(("settings_uuid" = uuid::Uuid, Path, description = "The workflow.")),
    responses((status = 200, body = Object), (status = 400, body = FieldErrors), (status = 403, body = Detail), (status = 404, body = Detail), (status = 415, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn update(
    caller: Caller<ManageWorkflows>,
    State(app): State<App>,
    Ids(id): Ids,
    body: JsonObject,
) -> Result<Response, Failure> {
    let current = find(&caller, &app, id).await?;
    let saved = read(body, Some(&current))?;
    searchable(&app, &caller, &saved).await?;
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
