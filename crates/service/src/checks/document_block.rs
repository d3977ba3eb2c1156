//! A read document as the API's `id_verification` shows it.

use document::{Quality, Record, Side};
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::age;

/// Fields of the block that come straight from the record, under the same name.
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

/// The block of a record, without pictures, status and warnings.
pub fn block(record: &Record, today: Date) -> Value {
    let mut block = Map::new();
    block.insert("document_type".to_owned(), json!(record.document_type));
    block.insert("document_subtype".to_owned(), json!(record.template));
    for name in FIELDS {
        block.insert((*name).to_owned(), json!(record.value(name)));
    }
    if block["full_name"].is_null() {
        let names: Vec<&str> =
            ["first_name", "last_name"].iter().filter_map(|name| record.value(name)).collect();
        if !names.is_empty() {
            block.insert("full_name".to_owned(), json!(names.join(" ")));
        }
    }
    let years = record
        .value("date_of_birth")
        .and_then(age::parse_date)
        .map(|birth| age::age_on(birth, today, age::LeapDayRule::March1));
    block.insert("age".to_owned(), json!(years));
    block.insert("issuing_state".to_owned(), json!(record.issuing_state));
    block
        .insert("issuing_state_name".to_owned(), json!(record.issuing_state.as_deref().and_then(state_name)));
    let extra: Map<String, Value> = record
        .fields
        .iter()
        .filter(|(name, _)| !FIELDS.contains(&name.as_str()) && name.as_str() != "issuing_state")
        .map(|(name, field)| (name.clone(), json!(field.value)))
        .collect();
    block.insert("extra_fields".to_owned(), Value::Object(extra));
    block.insert("mrz".to_owned(), record.mrz.as_ref().map_or_else(|| json!({}), |mrz| mrz.block.clone()));
    block.insert("parsed_address".to_owned(), Value::Null);
    let quality = |side: Side| record.quality.get(&side).map(quality_block);
    block.insert("front_image_quality_score".to_owned(), json!(quality(Side::Front)));
    block.insert("back_image_quality_score".to_owned(), json!(quality(Side::Back)));
    for name in ["front_image_camera_front", "back_image_camera_front"] {
        block.insert(name.to_owned(), Value::Null);
        block.insert(format!("{name}_face_match_score"), Value::Null);
    }
    let barcodes: Vec<Value> = record
        .barcodes
        .iter()
        .map(|barcode| {
            json!({
                "type": barcode.kind,
                "position": null,
                "data": barcode.data,
                "data_raw": barcode.data,
                "side": barcode.side,
                "seal": barcode.seal,
            })
        })
        .collect();
    block.insert("barcodes".to_owned(), json!(barcodes));
    let sources: Map<String, Value> = record
        .fields
        .iter()
        .map(|(name, field)| {
            (name.clone(), json!({ "source": field.source, "confidence": field.confidence, "confirmed_by": field.confirmed_by }))
        })
        .collect();
    block.insert("field_sources".to_owned(), Value::Object(sources));
    block.insert("identified_by".to_owned(), json!(record.identified_by));
    block.insert("native_text".to_owned(), json!(record.native_text));
    block.insert("extra_files".to_owned(), json!([]));
    block.insert("matches".to_owned(), json!([]));
    Value::Object(block)
}

/// English name of an issuing state, by its three-letter or its MRZ code.
fn state_name(code: &str) -> Option<&'static str> {
    mrz::country::find(code)
        .or_else(|| mrz::country::all().iter().find(|country| country.alpha3() == code))
        .map(|country| country.name.as_str())
}

fn quality_block(quality: &Quality) -> Value {
    json!({
        "focus_score": quality.focus_score,
        "brightness_score": quality.brightness_score,
        "brightness_issue": quality.brightness_issue,
        "is_document_fully_visible": quality.is_document_fully_visible,
        "resolution_score": quality.resolution_score,
        "overall_score": quality.overall_score,
        "remedy": quality.remedy,
    })
}
