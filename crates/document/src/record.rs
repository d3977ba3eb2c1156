//! What a read document says: one serialisable record with the source, confidence and region of every field.

use std::collections::BTreeMap;

use evidence::Signal;
use imaging::{Quad, RgbImage};
use serde::Serialize;

use crate::seals::Seal;

/// Which printed side a thing was seen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The picture given first.
    Front,
    /// The picture given as back.
    Back,
}

/// Where a value was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Machine readable zone.
    Mrz,
    /// Barcode payload.
    Barcode,
    /// Visual inspection zone: what is printed for people.
    Viz,
    /// Follows from other values.
    Derived,
}

/// One field of the record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Normalised: dates ISO 8601 (unknown parts left off), sex `M`/`F`/`X`, states ICAO alpha-3, names as printed.
    pub value: String,
    /// Where `value` was read.
    pub source: Source,
    /// How sure the reading is, 0 to 1.
    pub confidence: f32,
    /// Where on the upright side: left, top, right, bottom as shares of its width and height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<[f32; 4]>,
    /// Side of `region`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Other sources that say the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confirmed_by: Vec<Source>,
}

/// The machine readable zone as read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mrz {
    /// `TD1`, `TD2`, `TD3`, `MRVA`, `MRVB`, …
    pub format: String,
    /// The lines after repair.
    pub lines: Vec<String>,
    /// Every check digit of the repaired lines holds.
    pub valid: bool,
    /// What repair changed; empty when the reading stood as it was.
    pub corrections: Vec<serde_json::Value>,
    /// Two readings satisfy the check digits.
    pub ambiguous: bool,
    /// Lines as the recogniser read them, before repair.
    pub raw: Vec<String>,
    /// Least probability of any character that a check digit covers.
    pub confidence: f32,
    /// Side it stands on.
    pub side: Side,
    /// Didit's `mrz` block: surname, name, country, dates as YYMMDD, hashes, personal number, errors, key.
    pub block: serde_json::Value,
}

/// One barcode on the document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Barcode {
    /// Symbology: `PDF_417`, `QR_CODE`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Side it stands on.
    pub side: Side,
    /// Text as decoded; bytes that are no UTF-8 as Latin-1.
    pub data: String,
    /// What the payload was recognised as: `aamva`, a national one such as `ar.dni`, or absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The issuer's seal that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// How good the picture of one side is; scores 0 to 100.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Sharpness.
    pub focus_score: f32,
    /// Exposure.
    pub brightness_score: f32,
    /// `ok`, `too_dark` or `too_bright`.
    pub brightness_issue: &'static str,
    /// Pixels over the document.
    pub resolution_score: f32,
    /// Share of the document lost to reflections, 0 to 1.
    pub glare_share: f32,
    /// All four corners lie inside the picture; absent where no outline was found.
    pub is_document_fully_visible: Option<bool>,
    /// 45 % focus, 30 % brightness, 25 % resolution.
    pub overall_score: f32,
    /// What the person can do about it, most pressing first: `hold_still`, `move_closer`, `tilt_away_from_light`,
    /// `more_light`, `less_light`, `show_whole_document`.
    pub remedy: Vec<&'static str>,
}

/// How the type of the document became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifiedBy {
    /// Document code and issuer of the MRZ.
    Mrz,
    /// Barcode payload.
    Barcode,
    /// A template's text anchors.
    Template,
    /// Nothing names issuer and type; `document_type` is then what the printed title says, if anything.
    Unknown,
}

/// One side after rectification.
#[derive(Debug, Clone)]
pub struct Upright {
    /// Which side.
    pub side: Side,
    /// The card or page, upright.
    pub image: RgbImage,
    /// Its corners in the picture given; absent where the whole picture was taken.
    pub quad: Option<Quad>,
}

/// Everything read from one document.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// How the type became known.
    pub identified_by: IdentifiedBy,
    /// Id of the template that matched, such as `es.dni.2015`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// `Passport`, `Identity Card`, `Driver's License`, `Residence Permit`, `Visa`, …
    pub document_type: Option<String>,
    /// ICAO alpha-3 code of the issuer.
    pub issuing_state: Option<String>,
    /// Fields by name, as in Didit's `id_verification`, plus extra fields under their own names.
    pub fields: BTreeMap<String, Field>,
    /// The machine readable zone, when one was found.
    pub mrz: Option<Mrz>,
    /// Cards of one size seen on the picture given as the front, where no back was given: 2 where each was read as a
    /// side; of more (at most 4 are told apart) one alone was read, which `SEVERAL_DOCUMENTS_IN_PICTURE` signals.
    pub cards_on_front_picture: u8,
    /// Barcodes, in the order found.
    pub barcodes: Vec<Barcode>,
    /// Quality by side.
    pub quality: BTreeMap<Side, Quality>,
    /// What the checks saw.
    pub signals: Vec<Signal>,
    /// Milliseconds by stage, wall clock; stages of two sides overlap, `total` is the whole reading.
    pub timing_ms: BTreeMap<&'static str, f64>,
    /// Milliseconds by stage, processor time of the threads that did the work.
    pub cpu_ms: BTreeMap<&'static str, f64>,
    /// Pixels given to each net: what the reading had to compute, whatever the machine.
    pub net_pixels: BTreeMap<&'static str, f64>,
    /// Every printed line read, by side, top to bottom; for reviewers and for extra fields. Not serialised.
    #[serde(skip)]
    pub text: Vec<(Side, String)>,
    /// Lines in other scripts than Latin, where a [`crate::Tesseract`] was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub native_text: Vec<crate::NativeLine>,
    /// The sides, upright. Not serialised.
    #[serde(skip)]
    pub sides: Vec<Upright>,
    /// The holder's portrait cut from the front, when a finder was given and found one. Not serialised.
    #[serde(skip)]
    pub portrait: Option<RgbImage>,
}

impl Record {
    /// A field's value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|f| f.value.as_str())
    }
}
