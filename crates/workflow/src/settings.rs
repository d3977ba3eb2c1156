//! Reads the settings of a workflow's node: each is declared once, with its features, its values and what it does.
//!
//! The table [`SETTINGS`] is the only list. A caller who sends something else is
//! refused by name ([`read`]); a definition in the database that has something
//! else still loads, and its sessions go to a person ([`NodeConfig::unread`]).
//! Names are those of the workflow API, in its newer (`features[].config`) and
//! its older, flat spelling, beside a few of our own.

use std::collections::BTreeMap;

use evidence::catalogue::{self, Action};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Feature, LivenessMethod, NodeConfig, nearest};

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The setting as it was sent.
    pub setting: String,
    /// What is wrong and what to do.
    pub text: String,
}

/// Codes of document types that a policy may name.
pub const DOCUMENT_TYPES: [&str; 12] =
    ["P", "ID", "DL", "RP", "HIC", "TC", "SSC", "WP", "VISA", "PSC", "BC", "OTHER"];

/// The document types that are accepted, by issuing state (ISO 3166-1 alpha-3); empty accepts all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentsAllowed(BTreeMap<String, BTreeMap<String, Allowed>>);

/// Whether one document type of one state is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Allowed {
    enabled: u8,
}

impl DocumentsAllowed {
    /// Whether nothing is restricted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a document is accepted. One whose state or type was not read is not.
    pub fn accepts(&self, country: Option<&str>, document: Option<&str>) -> bool {
        self.is_empty()
            || country.zip(document).is_some_and(|(country, document)| {
                self.0.get(country).and_then(|of| of.get(document)).is_some_and(|rule| rule.enabled == 1)
            })
    }
}

type Score = fn(&mut NodeConfig) -> &mut Option<f64>;
type Whole = fn(&mut NodeConfig) -> &mut Option<u32>;
type Flag = fn(&mut NodeConfig) -> &mut Option<bool>;

/// What a setting takes and does.
enum Kind {
    /// A number from 0 to 100.
    Score(Score),
    /// A whole number within a range.
    Whole(u32, u32, Whole),
    /// An age in full years.
    Age,
    /// `true` or `false`.
    Flag(Flag),
    /// What follows from these risks; the least that may be asked for stands first.
    Action(Action, &'static [&'static str]),
    /// How liveness is judged.
    Method,
    /// How often an active challenge may be tried.
    Attempts,
    /// Issuing states.
    Countries,
    /// Document types.
    Documents,
    /// Document types by issuing state.
    DocumentsByCountry,
    /// Actions by risk code.
    Risks,
    /// Only this value: what the server does anyway.
    Only(&'static str, &'static str),
    /// Something this server does not have: taken when it is switched off.
    Absent(&'static str),
    /// Something this server does otherwise: taken only as `null`.
    Otherwise(&'static str),
}

/// A declared setting.
struct Setting {
    name: &'static str,
    features: &'static [Feature],
    kind: Kind,
}

const OCR: &[Feature] = &[Feature::Ocr];
const NFC: &[Feature] = &[Feature::Nfc];
const LIVENESS: &[Feature] = &[Feature::Liveness];
const MATCH: &[Feature] = &[Feature::FaceMatch];
const AML: &[Feature] = &[Feature::Aml];
const AGE: &[Feature] = &[Feature::AgeEstimation];
const SELFIE: &[Feature] = &[Feature::Liveness, Feature::AgeEstimation];
const SCORED: &[Feature] = &[Feature::Liveness, Feature::FaceMatch];
const EVERY: &[Feature] = &Feature::ALL;

const fn setting(name: &'static str, features: &'static [Feature], kind: Kind) -> Setting {
    Setting { name, features, kind }
}

const fn action(name: &'static str, features: &'static [Feature], risks: &'static [&'static str]) -> Setting {
    Setting { name, features, kind: Kind::Action(Action::NoAction, risks) }
}

const LEAVE_OUT: &str = "leave it out.";
const NO_NETWORK: &str = "no data of other organisations are used here; leave it out or send NO_ACTION.";
const NO_SUCH_EVIDENCE: &str = "no check here looks for this; leave it out or send NO_ACTION.";

/// Every setting of a node.
const SETTINGS: &[Setting] = &[
    // Our own names.
    setting("decline_threshold", SCORED, Kind::Score(|c| &mut c.decline_threshold)),
    setting("review_threshold", SCORED, Kind::Score(|c| &mut c.review_threshold)),
    setting("accepted_countries", OCR, Kind::Countries),
    setting("accepted_documents", OCR, Kind::Documents),
    setting("actions", EVERY, Kind::Risks),
    // Documents.
    setting("documents_allowed", OCR, Kind::DocumentsByCountry),
    setting("minimum_age", &[Feature::Ocr, Feature::AgeEstimation], Kind::Age),
    setting("minimum_age_threshold", AGE, Kind::Age),
    setting("age_estimation_decline_threshold", AGE, Kind::Age),
    action("minimum_age_action", OCR, &["MINIMUM_AGE_NOT_MET"]),
    action("duplicated_user_action", OCR, &["POSSIBLE_DUPLICATED_USER"]),
    action(
        "expected_details_mismatch_action",
        OCR,
        &[
            "DOB_MISMATCH_WITH_PROVIDED",
            "GENDER_MISMATCH_WITH_PROVIDED",
            "NATIONALITY_MISMATCH_WITH_PROVIDED",
            "COUNTRY_MISMATCH_WITH_PROVIDED",
            "DOCUMENT_COUNTRY_MISMATCH",
            "IDENTIFICATION_NUMBER_MISMATCH_WITH_PROVIDED",
            "FULL_NAME_MISMATCH_WITH_PROVIDED",
        ],
    ),
    action("expiration_date_not_detected_action", OCR, &["EXPIRATION_DATE_NOT_DETECTED"]),
    action(
        "inconsistent_data_action",
        OCR,
        &["DATA_INCONSISTENT", "MRZ_AND_DATA_EXTRACTED_FROM_OCR_NOT_SAME", "DOCUMENT_SIDES_MISMATCH"],
    ),
    action("invalid_mrz_action", OCR, &["MRZ_VALIDATION_FAILED", "MRZ_NOT_DETECTED"]),
    action("invalid_code_action", OCR, &["BARCODE_VALIDATION_FAILED", "QR_VALIDATION_FAILED"]),
    action("unparsed_address_action", OCR, &["UNPARSED_ADDRESS"]),
    action(
        "document_or_personal_number_format_mismatch_action",
        OCR,
        &["DOCUMENT_NUMBER_FORMAT_MISMATCH", "PERSONAL_NUMBER_FORMAT_MISMATCH"],
    ),
    action("document_without_portrait_action", OCR, &["PORTRAIT_IMAGE_NOT_DETECTED"]),
    action("image_quality_too_low_action", OCR, &["POOR_DOCUMENT_QUALITY"]),
    setting("is_age_restrictions_enabled", OCR, Kind::Flag(|c| &mut c.is_age_restrictions_enabled)),
    setting("age_restrictions_by_country", OCR, Kind::Absent("one minimum_age holds for all countries.")),
    setting("maximum_age", OCR, Kind::Absent(LEAVE_OUT)),
    setting("maximum_age_action", OCR, Kind::Absent(NO_SUCH_EVIDENCE)),
    setting("cross_org_fraud_document_action", OCR, Kind::Absent(NO_NETWORK)),
    setting("document_audio_recording_enabled", OCR, Kind::Absent("no sound is recorded here.")),
    setting("document_blur_fields_by_country", OCR, Kind::Absent("stored pictures are not blurred.")),
    setting("document_liveness_portrait_replace_decline_threshold", OCR, Kind::Absent(USE_ACTIONS)),
    setting("document_liveness_portrait_replace_review_threshold", OCR, Kind::Absent(USE_ACTIONS)),
    setting("document_liveness_printed_copy_decline_threshold", OCR, Kind::Absent(USE_ACTIONS)),
    setting("document_liveness_printed_copy_review_threshold", OCR, Kind::Absent(USE_ACTIONS)),
    setting("document_liveness_screen_replay_decline_threshold", OCR, Kind::Absent(USE_ACTIONS)),
    setting("document_liveness_screen_replay_review_threshold", OCR, Kind::Absent(USE_ACTIONS)),
    setting("document_selfie_portrait_match_decline_threshold", OCR, Kind::Absent(USE_FACE_MATCH)),
    setting("document_selfie_portrait_match_review_threshold", OCR, Kind::Absent(USE_FACE_MATCH)),
    setting("is_document_selfie_portrait_match_enabled", OCR, Kind::Absent(USE_FACE_MATCH)),
    setting("id_document_quality_threshold", OCR, Kind::Absent("use image_quality_too_low_action.")),
    setting("id_verification_max_retry_attempts", OCR, Kind::Absent("a check runs once for each session.")),
    setting("id_verification_name_match_score_threshold", OCR, Kind::Absent(LEAVE_OUT)),
    setting("image_capture_methods_allowed", OCR, Kind::Absent("camera and upload are both allowed.")),
    setting("image_too_blurry_action", OCR, Kind::Otherwise(USE_QUALITY)),
    setting("image_too_bright_action", OCR, Kind::Otherwise(USE_QUALITY)),
    setting("image_too_dark_action", OCR, Kind::Otherwise(USE_QUALITY)),
    setting("invalid_validation_action", OCR, Kind::Otherwise(USE_ACTIONS)),
    setting("is_image_capture_review_screen_enabled", OCR, Kind::Absent(LEAVE_OUT)),
    setting("is_ocr_id_verification_data_review_enabled", OCR, Kind::Absent(NO_DATA_REVIEW)),
    setting("ocr_id_verification_data_review_critical_fields", OCR, Kind::Absent(NO_DATA_REVIEW)),
    setting("ocr_id_verification_data_review_critical_mismatch_action", OCR, Kind::Absent(NO_DATA_REVIEW)),
    setting("ocr_id_verification_data_review_minor_mismatch_action", OCR, Kind::Absent(NO_DATA_REVIEW)),
    setting("methods", OCR, Kind::Absent("documents are captured; there are no other methods.")),
    // Chips.
    action("skip_nfc_action", NFC, &["SKIPPED_NFC_VALIDATION"]),
    action("unverified_chip_action", NFC, &["NFC_CHIP_NOT_VERIFIED"]),
    setting(
        "allow_nfc_skip",
        NFC,
        Kind::Only("true", "the chip can always be skipped; set skip_nfc_action to DECLINE."),
    ),
    setting("trust_anchor_missing_action", NFC, Kind::Otherwise("it is judged by unverified_chip_action.")),
    // Selfies.
    setting("face_liveness_score_decline_threshold", LIVENESS, Kind::Score(|c| &mut c.decline_threshold)),
    setting("face_liveness_score_review_threshold", LIVENESS, Kind::Score(|c| &mut c.review_threshold)),
    setting("face_liveness_method", LIVENESS, Kind::Method),
    setting("face_liveness_max_attempts", LIVENESS, Kind::Attempts),
    action("face_liveness_multiple_faces_action", LIVENESS, &["MULTIPLE_FACES_DETECTED"]),
    action(
        "face_liveness_possible_duplicated_face_action",
        LIVENESS,
        &["DUPLICATED_FACE", "POSSIBLE_DUPLICATED_FACE"],
    ),
    setting("face_liveness_score_decline_threshold", AGE, Kind::Absent(ADD_LIVENESS)),
    setting("face_liveness_score_review_threshold", AGE, Kind::Absent(ADD_LIVENESS)),
    setting("face_liveness_method", AGE, Kind::Absent(ADD_LIVENESS)),
    setting("face_liveness_max_attempts", AGE, Kind::Absent(ADD_LIVENESS)),
    setting("face_liveness_multiple_faces_action", AGE, Kind::Absent(ADD_LIVENESS)),
    setting("face_liveness_possible_duplicated_face_action", AGE, Kind::Absent(ADD_LIVENESS)),
    setting("borderline_maximum_age_threshold", AGE, Kind::Absent(LEAVE_OUT)),
    setting("borderline_minimum_age_threshold", AGE, Kind::Absent(LEAVE_OUT)),
    setting("enable_id_verification_fallback", AGE, Kind::Absent("put OCR into the workflow.")),
    setting("cross_org_fraud_face_action", LIVENESS, Kind::Absent(NO_NETWORK)),
    setting("cross_org_identity_claim_pattern_action", LIVENESS, Kind::Absent(NO_NETWORK)),
    setting("external_capture_device_action", SELFIE, Kind::Absent(NO_SUCH_EVIDENCE)),
    setting("face_audio_recording_enabled", SELFIE, Kind::Absent("no sound is recorded here.")),
    setting("face_liveness_duplicated_face_name_mismatch_action", SELFIE, Kind::Absent(NO_SUCH_EVIDENCE)),
    setting("face_liveness_flash_mode", SELFIE, Kind::Absent(LEAVE_OUT)),
    setting("face_liveness_mode", SELFIE, Kind::Absent(LEAVE_OUT)),
    setting("face_luminance_max_action", SELFIE, Kind::Otherwise(USE_ACTIONS)),
    setting("face_luminance_max_threshold", SELFIE, Kind::Absent(USE_ACTIONS)),
    setting("face_luminance_min_action", SELFIE, Kind::Otherwise(USE_ACTIONS)),
    setting("face_luminance_min_threshold", SELFIE, Kind::Absent(USE_ACTIONS)),
    setting("face_privacy_mode_enabled", SELFIE, Kind::Absent(LEAVE_OUT)),
    setting("face_quality_decline_threshold", SELFIE, Kind::Absent(USE_ACTIONS)),
    setting("face_quality_review_threshold", SELFIE, Kind::Absent(USE_ACTIONS)),
    setting("frame_injection_action", SELFIE, Kind::Otherwise(USE_ACTIONS)),
    setting("race_map_similarity_thresholds", LIVENESS, Kind::Absent("one threshold holds for everybody.")),
    setting(
        "screen_capture_action",
        SELFIE,
        Kind::Otherwise("it lowers the liveness score; use the thresholds."),
    ),
    setting("virtual_camera_action", SELFIE, Kind::Otherwise(USE_ACTIONS)),
    // Faces compared.
    setting("face_match_score_decline_threshold", MATCH, Kind::Score(|c| &mut c.decline_threshold)),
    setting("face_match_score_review_threshold", MATCH, Kind::Score(|c| &mut c.review_threshold)),
    setting(
        "face_match_not_computed_action",
        MATCH,
        Kind::Action(
            Action::Review,
            &["NO_REFERENCE_IMAGE", "NO_FACE_DETECTED", "COULD_NOT_PERFORM_FACE_MATCH"],
        ),
    ),
    setting("face_match_eyes_covered_action", MATCH, Kind::Absent(NO_SUCH_EVIDENCE)),
    setting("face_match_face_covered_action", MATCH, Kind::Absent(NO_SUCH_EVIDENCE)),
    setting("face_match_mouth_covered_action", MATCH, Kind::Absent(NO_SUCH_EVIDENCE)),
    setting("face_match_max_attempts", MATCH, Kind::Absent("a check runs once for each session.")),
    // Watch-lists.
    setting("aml_score_approve_threshold", AML, Kind::Score(|c| &mut c.aml.approve_threshold)),
    setting("aml_score_review_threshold", AML, Kind::Score(|c| &mut c.aml.review_threshold)),
    setting("aml_decline_threshold", AML, Kind::Score(|c| &mut c.aml.review_threshold)),
    setting("aml_match_score_threshold", AML, Kind::Whole(0, 100, |c| &mut c.aml.match_score_threshold)),
    setting("aml_name_weight", AML, Kind::Whole(0, 100, |c| &mut c.aml.name_weight)),
    setting("aml_dob_weight", AML, Kind::Whole(0, 100, |c| &mut c.aml.dob_weight)),
    setting("aml_country_weight", AML, Kind::Whole(0, 100, |c| &mut c.aml.country_weight)),
    setting("include_ongoing_monitoring", AML, Kind::Flag(|c| &mut c.aml.monitoring)),
    setting("is_ongoing_monitoring_enabled", AML, Kind::Flag(|c| &mut c.aml.monitoring)),
    setting("is_aml_ongoing_monitoring_enabled", AML, Kind::Flag(|c| &mut c.aml.monitoring)),
    setting("include_adverse_media", AML, Kind::Flag(|c| &mut c.aml.adverse_media)),
    setting("case_blueprint", AML, Kind::Absent(NO_CASES)),
    setting("create_cases_on_hit", AML, Kind::Absent(NO_CASES)),
    setting("fallback_to_native", AML, Kind::Absent("there is one screening, and it is native.")),
    setting("provider_key", AML, Kind::Absent("there is one screening, and it is native.")),
    setting("kyb_company_aml_country_weight", AML, Kind::Absent(NO_COMPANIES)),
    setting("kyb_company_aml_dob_weight", AML, Kind::Absent(NO_COMPANIES)),
    setting("kyb_company_aml_match_score_threshold", AML, Kind::Absent(NO_COMPANIES)),
    setting("kyb_company_aml_name_weight", AML, Kind::Absent(NO_COMPANIES)),
    setting("kyb_enable_ongoing_monitoring", AML, Kind::Absent(NO_COMPANIES)),
    setting("kyb_score_approve_threshold", AML, Kind::Absent(NO_COMPANIES)),
    setting("kyb_score_review_threshold", AML, Kind::Absent(NO_COMPANIES)),
    // All.
    setting("status_rules", EVERY, Kind::Absent("use actions.")),
];

const USE_ACTIONS: &str =
    "say what follows from a risk in actions, such as {\"SCREEN_CAPTURE_DETECTED\": \"DECLINE\"}.";
const USE_FACE_MATCH: &str = "put FACE_MATCH with its thresholds into the workflow.";
const USE_QUALITY: &str = "one risk stands for all of them; use image_quality_too_low_action.";
const ADD_LIVENESS: &str = "put LIVENESS into the workflow and set it there.";
const NO_DATA_REVIEW: &str = "people do not edit what was read.";
const NO_CASES: &str = "there are no cases here.";
const NO_COMPANIES: &str = "companies are not verified by workflows.";

/// Declared settings of a feature.
fn of(feature: Feature) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.features.contains(&feature))
}

/// The one feature that a setting belongs to, for the older workflow body in which settings stand beside each other.
pub fn feature_of(name: &str) -> Option<Feature> {
    let acted = |setting: &&Setting| {
        setting.name == name && !matches!(setting.kind, Kind::Absent(_) | Kind::Otherwise(_))
    };
    match SETTINGS
        .iter()
        .find(acted)
        .or_else(|| SETTINGS.iter().find(|setting| setting.name == name))?
        .features
    {
        [feature] => Some(*feature),
        _ => None,
    }
}

/// Names of the settings that this server acts on for a feature.
pub fn names(feature: Feature) -> Vec<&'static str> {
    of(feature)
        .filter(|setting| !matches!(setting.kind, Kind::Absent(_) | Kind::Otherwise(_)))
        .map(|setting| setting.name)
        .collect()
}

/// Reads the settings of a feature's node. What is wrong is said by name and left unset.
pub fn read(feature: Feature, given: &Map<String, Value>) -> (NodeConfig, Vec<Complaint>) {
    let mut config = NodeConfig::default();
    let mut complaints = Vec::new();
    for (name, value) in given {
        let setting = of(feature).find(|setting| setting.name == name);
        let taken = match setting {
            None => Err(unknown(feature, name)),
            Some(_) if value.is_null() => Ok(()),
            Some(setting) => take(setting, feature, value, &mut config),
        };
        if let Err(text) = taken {
            complaints.push(Complaint { setting: name.clone(), text });
        }
    }
    (config, complaints)
}

fn unknown(feature: Feature, name: &str) -> String {
    let known = names(feature);
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("Unknown setting. Did you mean '{near}'?");
    }
    if let Some(other) = feature_of(name) {
        return format!("This is a setting of {}, not of {}.", other.name(), feature.name());
    }
    format!("Unknown setting. {} takes: {}.", feature.name(), known.join(", "))
}

/// Puts a value where no other spelling of the setting put a different one.
fn put<T: PartialEq>(slot: &mut Option<T>, value: T) -> Result<(), String> {
    if slot.as_ref().is_some_and(|other| *other != value) {
        return Err("Another spelling of this setting has a different value. Send one of them.".to_owned());
    }
    *slot = Some(value);
    Ok(())
}

fn take(setting: &Setting, feature: Feature, value: &Value, config: &mut NodeConfig) -> Result<(), String> {
    match &setting.kind {
        Kind::Score(slot) => {
            let score = value.as_f64().filter(|score| (0.0..=100.0).contains(score));
            put(slot(config), score.ok_or("A number from 0 to 100 is required.")?)
        }
        Kind::Whole(least, most, slot) => put(slot(config), whole(value, *least, *most)?),
        Kind::Age => {
            let age = u8::try_from(whole(value, 1, 120)?).unwrap_or(u8::MAX);
            put(&mut config.minimum_age, age)
        }
        Kind::Flag(slot) => put(slot(config), value.as_bool().ok_or("Must be a valid boolean.")?),
        Kind::Action(least, _) => {
            let action = action_of(value)?;
            if action < *least {
                return Err(
                    "REVIEW or DECLINE is required: what could not be judged is never approved.".to_owned()
                );
            }
            config.policies.insert(setting.name.to_owned(), action);
            Ok(())
        }
        Kind::Method => {
            let method = serde_json::from_value::<LivenessMethod>(value.clone())
                .map_err(|_| "PASSIVE, ACTIVE_3D or FLASHING is required.")?;
            put(&mut config.face_liveness_method, method)
        }
        Kind::Attempts => {
            let attempts = u8::try_from(whole(value, 1, 10)?).unwrap_or(u8::MAX);
            put(&mut config.face_liveness_max_attempts, attempts)
        }
        Kind::Countries => {
            config.accepted_countries = codes(value, country)?;
            Ok(())
        }
        Kind::Documents => {
            config.accepted_documents = codes(value, document)?;
            Ok(())
        }
        Kind::DocumentsByCountry => {
            config.documents_allowed = documents_allowed(value)?;
            Ok(())
        }
        Kind::Risks => {
            let object = value.as_object().ok_or("Expected a dictionary of risk codes and actions.")?;
            for (code, action) in object {
                config.actions.insert(
                    risk(feature, code)?,
                    action_of(action).map_err(|text| format!("{code}: {text}"))?,
                );
            }
            Ok(())
        }
        Kind::Only(only, advice) => {
            if value.to_string().trim_matches('"').eq_ignore_ascii_case(only) {
                return Ok(());
            }
            Err(format!("Only {only} is supported by this server: {advice}"))
        }
        Kind::Absent(advice) => {
            let off = match value {
                Value::Bool(on) => !on,
                Value::String(text) => text.eq_ignore_ascii_case("NO_ACTION"),
                Value::Array(items) => items.is_empty(),
                Value::Object(items) => items.is_empty(),
                _ => false,
            };
            if off { Ok(()) } else { Err(format!("This is not supported by this server: {advice}")) }
        }
        Kind::Otherwise(advice) => Err(format!("This is not supported by this server: {advice}")),
    }
}

fn whole(value: &Value, least: u32, most: u32) -> Result<u32, String> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0);
    let number = number.filter(|number| (f64::from(least)..=f64::from(most)).contains(number));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, within two u32 bounds"
    )]
    let number = number.map(|number| number as u32);
    number.ok_or_else(|| format!("A whole number from {least} to {most} is required."))
}

/// An action, in both spellings of the API.
fn action_of(value: &Value) -> Result<Action, String> {
    let text = value.as_str().unwrap_or_default().to_ascii_uppercase();
    match text.as_str() {
        "NO_ACTION" => Ok(Action::NoAction),
        "REVIEW" => Ok(Action::Review),
        "DECLINE" => Ok(Action::Decline),
        _ => Err("NO_ACTION, REVIEW or DECLINE is required.".to_owned()),
    }
}

fn country(code: &str) -> Result<(), String> {
    let known = mrz::country::all().iter().any(|country| country.alpha3() == code);
    if known {
        Ok(())
    } else {
        Err(format!("'{}' is not an ISO 3166-1 alpha-3 country code, such as ESP.", short(code)))
    }
}

fn document(code: &str) -> Result<(), String> {
    if DOCUMENT_TYPES.contains(&code) {
        return Ok(());
    }
    Err(format!("'{}' is not a document type. Known are: {}.", short(code), DOCUMENT_TYPES.join(", ")))
}

/// At most 40 printable characters of what the caller sent.
fn short(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(40).collect()
}

fn codes(value: &Value, check: fn(&str) -> Result<(), String>) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or("Expected a list of codes.")?;
    items
        .iter()
        .map(|item| {
            let code = item.as_str().ok_or("Expected a list of codes.")?;
            check(code).map(|()| code.to_owned())
        })
        .collect()
}

fn documents_allowed(value: &Value) -> Result<DocumentsAllowed, String> {
    let shape = "Expected countries with document types, such as {\"ESP\": {\"P\": {\"enabled\": 1}}}.";
    let mut all = BTreeMap::new();
    for (code, documents) in value.as_object().ok_or(shape)? {
        country(code)?;
        let mut of = BTreeMap::new();
        for (kind, rule) in documents.as_object().ok_or(shape)? {
            document(kind)?;
            let enabled = match rule {
                Value::Object(rule) => allowed(rule).map_err(|text| format!("{code}.{kind}.{text}"))?,
                rule => switch(rule).ok_or(shape)?,
            };
            of.insert(kind.clone(), Allowed { enabled: u8::from(enabled) });
        }
        all.insert(code.clone(), of);
    }
    let any = all.values().flat_map(BTreeMap::values).any(|rule: &Allowed| rule.enabled == 1);
    if !all.is_empty() && !any {
        return Err("At least one document must be enabled.".to_owned());
    }
    Ok(DocumentsAllowed(all))
}

/// What is said of one document type of one state.
fn allowed(rule: &Map<String, Value>) -> Result<bool, String> {
    let mut enabled = true;
    for (name, value) in rule {
        match name.as_str() {
            "enabled" => enabled = switch(value).ok_or("enabled: 1 or 0 is required.")?,
            _ if value.is_null() => {}
            "subtypes" if value.as_array().is_some_and(Vec::is_empty) => {}
            "preferred_characters" if value == "latin" => {}
            "sides" | "subtypes" | "preferred_characters" | "expiration_check_mode" => {
                return Err(format!("{name}: This is not supported by this server: {LEAVE_OUT}"));
            }
            name => {
                let near = nearest(name, ["enabled"].into_iter());
                let hint = near.map_or_else(
                    || "It takes: enabled.".to_owned(),
                    |near| format!("Did you mean '{near}'?"),
                );
                return Err(format!("{}: Unknown setting. {hint}", short(name)));
            }
        }
    }
    Ok(enabled)
}

fn switch(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        value => [false, true].into_iter().find(|on| value.as_u64() == Some(u64::from(*on))),
    }
}

/// A code of the risk catalogue that a feature's check can give.
fn risk(feature: Feature, code: &str) -> Result<String, String> {
    // Chips are compared with the document, faces are looked for in both pictures.
    let gives: &[&str] = match feature {
        Feature::Ocr => &["ID_VERIFICATION"],
        Feature::Nfc => &["NFC", "ID_VERIFICATION"],
        Feature::Liveness | Feature::AgeEstimation => &["LIVENESS"],
        Feature::FaceMatch => &["FACEMATCH", "LIVENESS"],
        Feature::Aml => &["AML"],
    };
    let known = || {
        catalogue::all().filter(|risk| gives.contains(&risk.feature.as_str())).map(|risk| risk.code.as_str())
    };
    if known().any(|known| known == code) {
        return Ok(code.to_owned());
    }
    let hint = nearest(code, known()).map_or_else(
        || format!("No check of {} gives it.", feature.name()),
        |near| format!("Did you mean '{near}'?"),
    );
    Err(format!("{}: Unknown risk. {hint}", short(code)))
}

impl NodeConfig {
    /// What the owner says shall follow from a risk; `None` leaves it to the catalogue.
    pub fn action_of(&self, risk: &str) -> Option<Action> {
        let of_policy = || {
            let policies = self.policies.iter().filter(|(name, _)| {
                SETTINGS.iter().any(|setting| {
                    setting.name == name.as_str()
                        && matches!(&setting.kind, Kind::Action(_, risks) if risks.contains(&risk))
                })
            });
            policies.map(|(_, action)| *action).max()
        };
        self.actions.get(risk).copied().or_else(of_policy)
    }

    /// The settings under the names that the API's clients know.
    pub fn published(&self, feature: Feature) -> Map<String, Value> {
        let mut map = match json!(self) {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let names: &[(&str, &str)] = match feature {
            Feature::FaceMatch => &[
                ("decline_threshold", "face_match_score_decline_threshold"),
                ("review_threshold", "face_match_score_review_threshold"),
            ],
            Feature::Liveness => &[
                ("decline_threshold", "face_liveness_score_decline_threshold"),
                ("review_threshold", "face_liveness_score_review_threshold"),
            ],
            _ => &[],
        };
        for (own, published) in names {
            if let Some(value) = map.remove(*own) {
                map.insert((*published).to_owned(), value);
            }
        }
        map
    }

    /// Reads what a database holds. What this program cannot act on is kept aside, and a person looks at the sessions.
    pub(crate) fn stored(feature: Feature, given: &Map<String, Value>) -> Self {
        let (mut config, complaints) = read(feature, given);
        for complaint in complaints {
            let value = given.get(&complaint.setting).cloned().unwrap_or_default();
            config.unread.insert(complaint.setting, value);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn given(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn complaints(feature: Feature, value: &Value) -> Vec<String> {
        read(feature, &given(value)).1.into_iter().map(|complaint| complaint.text).collect()
    }

    #[test]
    fn both_spellings_of_a_threshold_set_it_and_two_different_ones_are_refused() {
        for (feature, name) in [
            (Feature::FaceMatch, "face_match_score_decline_threshold"),
            (Feature::Liveness, "face_liveness_score_decline_threshold"),
        ] {
            for name in [name, "decline_threshold"] {
                let (config, complaints) = read(feature, &given(&json!({ name: 100 })));
                assert_eq!((config.decline_threshold, complaints.len()), (Some(100.0), 0), "{name}");
            }
            assert_eq!(complaints(feature, &json!({ name: 100, "decline_threshold": 90 })).len(), 1);
            assert_eq!(complaints(feature, &json!({ name: 101 })), ["A number from 0 to 100 is required."]);
            assert_eq!(complaints(feature, &json!({ name: "50" })), ["A number from 0 to 100 is required."]);
        }
    }

    #[test]
    fn documents_are_allowed_by_country_and_type_and_unknown_codes_are_refused() {
        let (config, complaints) = read(
            Feature::Ocr,
            &given(&json!({ "documents_allowed": { "ESP": { "P": { "enabled": 1 }, "ID": 0 } } })),
        );
        assert!(complaints.is_empty());
        let allowed = &config.documents_allowed;
        assert!(allowed.accepts(Some("ESP"), Some("P")));
        for (country, document) in
            [(Some("ESP"), Some("ID")), (Some("UTO"), Some("P")), (None, Some("P")), (Some("ESP"), None)]
        {
            assert!(!allowed.accepts(country, document));
        }
        for bad in [
            json!({ "ES": { "P": 1 } }),
            json!({ "Spain": { "P": 1 } }),
            json!({ "ESP": { "PASSPORT": 1 } }),
            json!({ "ESP": { "P": { "enabeld": 1 } } }),
            json!({ "ESP": { "P": { "enabled": 1, "sides": 2 } } }),
            json!({ "ESP": { "P": { "enabled": 1, "subtypes": ["X"] } } }),
            json!({ "ESP": { "P": 0 } }),
            json!({ "ESP": {} }),
            json!({ "ESP": ["P"] }),
            json!("ESP"),
        ] {
            assert_eq!(complaints_of_documents(&bad), 1, "{bad}");
        }
        assert_eq!(complaints_of_documents(&json!({})), 0);
    }

    fn complaints_of_documents(value: &Value) -> usize {
        complaints(Feature::Ocr, &json!({ "documents_allowed": value })).len()
    }

    #[test]
    fn a_policy_decides_over_its_risks_and_a_named_risk_over_the_policy() {
        let (config, _) = read(Feature::Ocr, &given(&json!({ "duplicated_user_action": "decline" })));
        assert_eq!(config.action_of("POSSIBLE_DUPLICATED_USER"), Some(Action::Decline));
        assert_eq!(config.action_of("DOCUMENT_EXPIRED"), None);
        let both = json!({ "duplicated_user_action": "DECLINE", "actions": { "POSSIBLE_DUPLICATED_USER": "REVIEW" } });
        assert_eq!(
            read(Feature::Ocr, &given(&both)).0.action_of("POSSIBLE_DUPLICATED_USER"),
            Some(Action::Review)
        );
    }

    #[test]
    fn every_policy_names_risks_of_the_catalogue() {
        for setting in SETTINGS {
            if let Kind::Action(_, risks) = &setting.kind {
                for code in *risks {
                    assert!(catalogue::all().any(|risk| risk.code == *code), "{code}");
                }
            }
            for feature in setting.features {
                assert_eq!(
                    of(*feature).filter(|other| other.name == setting.name).count(),
                    1,
                    "{}",
                    setting.name
                );
            }
        }
    }

    #[test]
    fn every_setting_that_acts_is_in_the_guide() {
        let guide = include_str!("../../../docs/requests.md");
        for feature in Feature::ALL {
            for name in names(feature) {
                assert!(guide.contains(&format!("`{name}`")), "{name}");
            }
        }
    }

    #[test]
    fn what_this_server_lacks_may_be_switched_off_and_nothing_more() {
        for (feature, setting, off) in [
            (Feature::Ocr, "cross_org_fraud_document_action", json!("NO_ACTION")),
            (Feature::Ocr, "is_document_selfie_portrait_match_enabled", json!(false)),
            (Feature::Ocr, "image_capture_methods_allowed", json!([])),
            (Feature::Aml, "create_cases_on_hit", json!(null)),
        ] {
            assert!(complaints(feature, &json!({ setting: off })).is_empty(), "{setting}");
            for on in [json!("DECLINE"), json!(true), json!(["UPLOAD"]), json!(7)] {
                assert_eq!(complaints(feature, &json!({ setting: on })).len(), 1, "{setting}");
            }
        }
        // A picture too dark has its warning whatever is said here.
        assert_eq!(complaints(Feature::Ocr, &json!({ "image_too_dark_action": "NO_ACTION" })).len(), 1);
    }

    #[test]
    fn a_risk_that_no_check_of_the_feature_gives_is_refused() {
        let actions = |code: &str| json!({ "actions": { code: "DECLINE" } });
        assert!(complaints(Feature::Ocr, &actions("DOCUMENT_EXPIRED")).is_empty());
        assert_eq!(
            complaints(Feature::Ocr, &actions("DOCUMENT_EXPIERD")),
            ["DOCUMENT_EXPIERD: Unknown risk. Did you mean 'DOCUMENT_EXPIRED'?"]
        );
        assert_eq!(complaints(Feature::Liveness, &actions("DOCUMENT_EXPIRED")).len(), 1);
    }

    #[test]
    fn settings_survive_being_stored_and_published() {
        let (config, complaints) = read(
            Feature::FaceMatch,
            &given(
                &json!({ "face_match_score_decline_threshold": 55, "face_match_not_computed_action": "DECLINE" }),
            ),
        );
        assert!(complaints.is_empty());
        assert_eq!(NodeConfig::stored(Feature::FaceMatch, &given(&json!(config))), config);
        let published = config.published(Feature::FaceMatch);
        assert_eq!(published["face_match_score_decline_threshold"], 55.0);
        assert_eq!(read(Feature::FaceMatch, &published).0, config);
    }

    proptest! {
        /// Any single letter of a setting changed gives no setting, and the answer names the one that was meant.
        #[test]
        fn a_misspelt_setting_is_refused_and_the_right_one_named(
            index in 0..Feature::ALL.len(), pick in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), letter in "[a-z0-9]",
        ) {
            let feature = Feature::ALL[index];
            let names = names(feature);
            let name = names[pick.index(names.len())];
            let place = place.index(name.len());
            let mut wrong = name.to_owned();
            wrong.replace_range(place..=place, &letter);
            prop_assume!(!of(feature).any(|setting| setting.name == wrong));
            let texts = complaints(feature, &json!({ wrong.clone(): 1 }));
            prop_assert_eq!(texts, [format!("Unknown setting. Did you mean '{name}'?")]);
        }

        #[test]
        fn no_value_panics_and_each_is_taken_or_complained_about(
            index in 0..Feature::ALL.len(), pick in any::<prop::sample::Index>(), number in any::<f64>(), text in ".{0,12}", kind in 0..6_u8,
        ) {
            let feature = Feature::ALL[index];
            let settings: Vec<_> = of(feature).collect();
            let name = settings[pick.index(settings.len())].name;
            let value = match kind {
                0 => json!(number),
                1 => json!(text),
                2 => json!([text]),
                3 => json!({ text: number }),
                4 => json!(true),
                _ => json!({ "ESP": { text: { "enabled": number } } }),
            };
            let given = given(&json!({ name: value }));
            let (_, complaints) = read(feature, &given);
            let stored = NodeConfig::stored(feature, &given);
            prop_assert_eq!(complaints.len(), stored.unread.len());
        }
    }
}
