//! What a chip says, as the API's `nfc_verification` shows it, and its pictures.

use std::collections::BTreeMap;

use emrtd::{
    Report,
    lds::{details, dg1::Dg1, face},
    verify::{GroupStatus, SodSignature, Verdict},
    x509::Summary,
};
use mrz::date::{Meaning, MrzDate, Today};
use serde::Serialize;
use workflow::{Definition, Feature, FeatureStatus, Finding, Warning, judge};

use crate::pictures::decode_photo;

/// Data groups by number.
pub type Groups = BTreeMap<u8, Vec<u8>>;

/// The result of verifying a chip, without pictures.
#[derive(Debug, Serialize)]
pub struct Block<'a> {
    /// `Approved`, `In Review` or `Declined`, for a chip that stands alone.
    pub status: &'static str,
    /// What the chip says; null where DG1 cannot be read.
    pub chip_data: Option<ChipData>,
    has_portrait: bool,
    authenticity: Authenticity,
    certificate_summary: Option<&'a Summary>,
    report: &'a Report,
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct Authenticity {
    sod_integrity: bool,
    dg_integrity: bool,
}

/// What DG1 says, in the API's names, and the two places of DG11; dates as ISO 8601, or null where parts are unknown.
#[derive(Debug, Default, Serialize)]
pub struct ChipData {
    /// Document code, such as `P`.
    pub document_type: String,
    /// ICAO alpha-3, where the code is known.
    pub issuing_country: String,
    /// Number of the document.
    pub document_number: String,
    /// ISO 8601.
    pub expiration_date: Option<String>,
    /// Given names.
    pub first_name: String,
    /// Family names.
    pub last_name: String,
    /// ISO 8601.
    pub birth_date: Option<String>,
    /// `M`, `F` or null.
    pub gender: Option<String>,
    /// ICAO alpha-3, where the code is known.
    pub nationality: String,
    /// The permanent address of DG11.
    pub address: Option<String>,
    /// From DG11.
    pub place_of_birth: Option<String>,
}

/// The portrait of DG2.
pub(super) fn portrait(group: &[u8]) -> Option<imaging::RgbImage> {
    let first = face::parse(group).ok()?.into_iter().next()?;
    match first.format {
        face::ImageFormat::Jpeg2000 => {
            decoder::decode_jpeg2000(&first.bytes, &imaging::Limits::default()).ok()
        }
        _ => decode_photo(&first.bytes).ok().map(|picture| picture.pixels),
    }
}

/// A data group, where the security object holds its hash.
fn vouched<'a>(report: &Report, groups: &'a BTreeMap<u8, Vec<u8>>, number: u8) -> Option<&'a [u8]> {
    let matches = report.dg_hashes.get(&number) == Some(&GroupStatus::Match);
    groups.get(&number).filter(|_| matches).map(Vec::as_slice)
}

/// The pictures of a chip that its security object vouches for, as JPEGs, by the name under which they are kept:
/// the portrait of DG2, the signature or usual mark of DG7.
pub fn pictures(report: &Report, groups: &BTreeMap<u8, Vec<u8>>) -> Vec<(&'static str, Vec<u8>)> {
    let portrait = vouched(report, groups, 2).and_then(portrait);
    let signature = vouched(report, groups, 7).and_then(|group| {
        let marks = details::details(group, 0x67).ok()?;
        let mark = marks.into_iter().find(|detail| detail.name == "signature_or_mark")?;
        decode_photo(&mark.bytes?).ok().map(|picture| picture.pixels)
    });
    [("chip_portrait", portrait), ("chip_signature", signature)]
        .into_iter()
        .filter_map(|(name, pixels)| Some((name, imaging::encode_jpeg(&pixels?, 90))))
        .collect()
}

/// A text of DG11 as one line: its parts stand between fillers (ICAO Doc 9303-10, 4.7.11).
fn detail(group: Option<&[u8]>, name: &str) -> Option<String> {
    let found = details::details(group?, 0x6B).ok()?.into_iter().find(|detail| detail.name == name)?;
    let text = found.text?;
    let parts: Vec<&str> = text.split('<').map(str::trim).filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn chip_data(dg1: &Dg1, dg11: Option<&[u8]>, today: jiff::civil::Date) -> ChipData {
    let part = |number: i8| u8::try_from(number).unwrap_or(1);
    let today = Today::new(u16::try_from(today.year()).unwrap_or(0), part(today.month()), part(today.day()));
    let date = |raw: &str, meaning: Meaning| MrzDate::read(raw, meaning, today).and_then(|date| date.iso());
    let state = |code: &str| {
        mrz::country::find(code).map_or_else(|| code.to_owned(), |country| country.alpha3().to_owned())
    };
    ChipData {
        document_type: dg1.document_code.clone(),
        issuing_country: state(&dg1.issuing_state),
        document_number: dg1.document_number.clone(),
        expiration_date: date(&dg1.date_of_expiry, Meaning::Expiry),
        first_name: dg1.given_names.clone(),
        last_name: dg1.surname.clone(),
        birth_date: date(&dg1.date_of_birth, Meaning::Past),
        gender: matches!(dg1.sex.as_str(), "M" | "F").then(|| dg1.sex.clone()),
        nationality: state(&dg1.nationality),
        address: detail(dg11, "permanent_address"),
        place_of_birth: detail(dg11, "place_of_birth"),
    }
}

/// The block of a report, with its status.
pub fn shown<'a>(report: &'a Report, groups: &Groups, today: jiff::civil::Date) -> Block<'a> {
    let mut finding = Finding::done(Feature::Nfc);
    finding.signals = emrtd::signals::signals(report);
    let verdict = Definition::of(&[Feature::Nfc]).nodes.first().map(|node| judge(node, &finding));
    let (status, warnings) = match verdict {
        Some(verdict) => (verdict.status, verdict.warnings),
        None => (FeatureStatus::InReview, Vec::new()),
    };
    // Only what a trusted issuer signed is genuine, whatever the settings make of single signals; and without its DG1
    // nothing says whose document it is.
    let named = report.dg_hashes.get(&1) == Some(&GroupStatus::Match);
    let status = match (report.verdict, status) {
        (Verdict::Genuine, FeatureStatus::Approved) if named => "Approved",
        (Verdict::Refused, _) | (_, FeatureStatus::Declined) => "Declined",
        _ => "In Review",
    };
    let dg1 = groups.get(&1).and_then(|bytes| Dg1::parse(bytes).ok());
    let dg_integrity = report
        .dg_hashes
        .values()
        .all(|status| !matches!(status, GroupStatus::Mismatch | GroupStatus::NotInSod));
    Block {
        status,
        chip_data: dg1.map(|dg1| chip_data(&dg1, vouched(report, groups, 11), today)),
        has_portrait: groups.get(&2).and_then(|bytes| face::parse(bytes).ok()).is_some(),
        authenticity: Authenticity {
            sod_integrity: report.sod_signature == SodSignature::Valid,
            dg_integrity,
        },
        certificate_summary: report.certificate_summary.as_ref(),
        report,
        warnings,
    }
}
