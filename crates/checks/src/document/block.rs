//! A read document as the API's `id_verification` shows it.

use std::collections::BTreeMap;

use document::{IdentifiedBy, NativeLine, Quality, Record, Seal, Side, Source};
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value, json};

use crate::age::rule;

/// Fields of the record that stand in the block under their own names; the rest are extra fields.
const FIELDS: &[&str] = &[
    "document_number",
    "personal_number",
    "date_of_birth",
    "expiration_date",
    "date_of_issue",
    "first_name",
    "last_name",
    "full_name",
    "gender",
    "address",
    "formatted_address",
    "place_of_birth",
    "marital_status",
    "nationality",
];

/// Display names of document types and the codes that settings and filters use.
const CODES: &[(&str, &str)] = &[
    ("Passport", "P"),
    ("Identity Card", "ID"),
    ("Driver's License", "DL"),
    ("Residence Permit", "RP"),
    ("Health Insurance Card", "HIC"),
    ("Tax Card", "TC"),
    ("Visa", "VISA"),
];

/// The code of a document type.
pub fn code_of(document_type: Option<&str>) -> Option<&'static str> {
    let name = document_type?;
    Some(CODES.iter().find(|(display, _)| *display == name).map_or("OTHER", |(_, code)| *code))
}

/// The result of reading a document, without pictures, status and warnings.
#[derive(Debug, Serialize)]
pub struct Block<'a> {
    document_type: Option<&'a str>,
    document_subtype: Option<&'a str>,
    document_number: Option<&'a str>,
    personal_number: Option<&'a str>,
    date_of_birth: Option<&'a str>,
    expiration_date: Option<&'a str>,
    date_of_issue: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    full_name: Option<String>,
    gender: Option<&'a str>,
    address: Option<&'a str>,
    formatted_address: Option<&'a str>,
    place_of_birth: Option<&'a str>,
    marital_status: Option<&'a str>,
    nationality: Option<&'a str>,
    age: Option<i16>,
    issuing_state: Option<&'a str>,
    issuing_state_name: Option<&'static str>,
    extra_fields: BTreeMap<&'a str, &'a str>,
    /// The zone's own block; an empty object without a zone.
    mrz: Value,
    parsed_address: Option<()>,
    front_image_quality_score: Option<QualityScore<'a>>,
    back_image_quality_score: Option<QualityScore<'a>>,
    front_image_camera_front: Option<()>,
    front_image_camera_front_face_match_score: Option<()>,
    back_image_camera_front: Option<()>,
    back_image_camera_front_face_match_score: Option<()>,
    barcodes: Vec<Barcode<'a>>,
    field_sources: BTreeMap<&'a str, FieldSource<'a>>,
    identified_by: &'a IdentifiedBy,
    native_text: &'a [NativeLine],
    extra_files: [(); 0],
    matches: [(); 0],
}

#[derive(Debug, Serialize)]
struct Barcode<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    position: Option<()>,
    data: &'a str,
    data_raw: &'a str,
    side: Side,
    seal: Option<&'a Seal>,
}

#[derive(Debug, Serialize)]
struct FieldSource<'a> {
    source: Source,
    confidence: f32,
    confirmed_by: &'a [Source],
}

#[derive(Debug, Serialize)]
struct QualityScore<'a> {
    focus_score: f32,
    brightness_score: f32,
    brightness_issue: &'static str,
    is_document_fully_visible: Option<bool>,
    resolution_score: f32,
    overall_score: f32,
    remedy: &'a [&'static str],
}

/// The whole name as it was read, else made of its parts.
pub(super) fn full_name(record: &Record) -> Option<String> {
    let names: Vec<&str> = ["first_name", "last_name"].iter().filter_map(|name| record.value(name)).collect();
    let joined = (!names.is_empty()).then(|| names.join(" "));
    record.value("full_name").map(str::to_owned).or(joined)
}

/// The holder's age in full years on a day.
pub(super) fn age(record: &Record, today: Date) -> Option<i16> {
    let birth = record.value("date_of_birth").and_then(rule::parse_date)?;
    Some(rule::age_on(birth, today, rule::LeapDayRule::March1))
}

impl<'a> Block<'a> {
    /// The block of a record.
    pub(super) fn of(record: &'a Record, today: Date) -> Self {
        let value = |name: &str| record.value(name);
        let quality = |side: Side| record.quality.get(&side).map(QualityScore::of);
        let is_extra = |name: &str| !FIELDS.contains(&name) && name != "issuing_state";
        Self {
            document_type: record.document_type.as_deref(),
            document_subtype: record.template.as_deref(),
            document_number: value("document_number"),
            personal_number: value("personal_number"),
            date_of_birth: value("date_of_birth"),
            expiration_date: value("expiration_date"),
            date_of_issue: value("date_of_issue"),
            first_name: value("first_name"),
            last_name: value("last_name"),
            full_name: full_name(record),
            gender: value("gender"),
            address: value("address"),
            formatted_address: value("formatted_address"),
            place_of_birth: value("place_of_birth"),
            marital_status: value("marital_status"),
            nationality: value("nationality"),
            age: age(record, today),
            issuing_state: record.issuing_state.as_deref(),
            issuing_state_name: record.issuing_state.as_deref().and_then(state_name),
            extra_fields: record
                .fields
                .iter()
                .filter(|(name, _)| is_extra(name))
                .map(|(name, field)| (name.as_str(), field.value.as_str()))
                .collect(),
            mrz: record.mrz.as_ref().map_or_else(|| json!({}), |mrz| mrz.block.clone()),
            parsed_address: None,
            front_image_quality_score: quality(Side::Front),
            back_image_quality_score: quality(Side::Back),
            front_image_camera_front: None,
            front_image_camera_front_face_match_score: None,
            back_image_camera_front: None,
            back_image_camera_front_face_match_score: None,
            barcodes: record.barcodes.iter().map(Barcode::of).collect(),
            field_sources: record
                .fields
                .iter()
                .map(|(name, field)| {
                    let confirmed_by = field.confirmed_by.as_slice();
                    let source =
                        FieldSource { source: field.source, confidence: field.confidence, confirmed_by };
                    (name.as_str(), source)
                })
                .collect(),
            identified_by: &record.identified_by,
            native_text: &record.native_text,
            extra_files: [],
            matches: [],
        }
    }
}

impl<'a> Barcode<'a> {
    fn of(barcode: &'a document::Barcode) -> Self {
        Self {
            kind: &barcode.kind,
            position: None,
            data: &barcode.data,
            data_raw: &barcode.data,
            side: barcode.side,
            seal: barcode.seal.as_ref(),
        }
    }
}

impl<'a> QualityScore<'a> {
    fn of(quality: &'a Quality) -> Self {
        Self {
            focus_score: quality.focus_score,
            brightness_score: quality.brightness_score,
            brightness_issue: quality.brightness_issue,
            is_document_fully_visible: quality.is_document_fully_visible,
            resolution_score: quality.resolution_score,
            overall_score: quality.overall_score,
            remedy: &quality.remedy,
        }
    }
}

/// English name of an issuing state, by its three-letter or its MRZ code.
fn state_name(code: &str) -> Option<&'static str> {
    mrz::country::find(code)
        .or_else(|| mrz::country::all().iter().find(|country| country.alpha3() == code))
        .map(|country| country.name.as_str())
}
