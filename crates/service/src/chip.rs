//! Verifies the files of a document's chip: passive authentication, and what DG1 says.
//!
//! Trusted issuers are in [`trust`]. Nothing is trusted that was not imported:
//! without it a chip is at best untrusted, and never approved. [`relay`] reads
//! chips through a person's device; [`step`] makes them part of a session.

pub mod relay;
pub(crate) mod step;
pub mod trust;

use std::{collections::BTreeMap, sync::Arc};

use emrtd::{
    Input, Report,
    lds::{details, dg1::Dg1, face},
    time::Time,
    verify::{ActiveAuthentication, GroupStatus, SodSignature, Verdict},
};
use mrz::date::{Meaning, MrzDate, Today};
use serde_json::{Value, json};
use workflow::{Definition, Feature, FeatureStatus, Finding, judge};

use crate::{
    Service,
    access::Access,
    checks,
    pool::Work,
    standalone::{Answer, Common, StandaloneError},
};

/// Files of a chip.
#[derive(Debug, Clone)]
pub struct ChipFiles {
    /// EF.SOD.
    pub sod: Vec<u8>,
    /// Data groups by number.
    pub data_groups: BTreeMap<u8, Vec<u8>>,
    /// Challenge and answer of an active authentication that the caller ran.
    pub active_authentication: Option<(Vec<u8>, Vec<u8>)>,
    /// The rest.
    pub common: Common,
}

/// The portrait of DG2.
fn portrait(group: &[u8]) -> Option<imaging::RgbImage> {
    let first = face::parse(group).ok()?.into_iter().next()?;
    match first.format {
        face::ImageFormat::Jpeg2000 => {
            decoder::decode_jpeg2000(&first.bytes, &imaging::Limits::default()).ok()
        }
        _ => checks::decode_photo(&first.bytes).ok().map(|picture| picture.pixels),
    }
}

/// A data group, where the security object holds its hash.
fn vouched<'a>(report: &Report, groups: &'a BTreeMap<u8, Vec<u8>>, number: u8) -> Option<&'a [u8]> {
    let matches = report.dg_hashes.get(&number) == Some(&GroupStatus::Match);
    groups.get(&number).filter(|_| matches).map(Vec::as_slice)
}

/// The pictures of a chip that its security object vouches for, as JPEGs, by the name under which they are kept:
/// the portrait of DG2, the signature or usual mark of DG7.
fn pictures(report: &Report, groups: &BTreeMap<u8, Vec<u8>>) -> Vec<(&'static str, Vec<u8>)> {
    let portrait = vouched(report, groups, 2).and_then(portrait);
    let signature = vouched(report, groups, 7).and_then(|group| {
        let marks = details::details(group, 0x67).ok()?;
        let mark = marks.into_iter().find(|detail| detail.name == "signature_or_mark")?;
        checks::decode_photo(&mark.bytes?).ok().map(|picture| picture.pixels)
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

/// What DG1 says, in the API's names, and the two places of DG11; dates as ISO 8601, or null where parts are unknown.
fn chip_data(dg1: &Dg1, dg11: Option<&[u8]>, today: jiff::civil::Date) -> Value {
    let part = |number: i8| u8::try_from(number).unwrap_or(1);
    let today = Today::new(u16::try_from(today.year()).unwrap_or(0), part(today.month()), part(today.day()));
    let date = |raw: &str, meaning: Meaning| MrzDate::read(raw, meaning, today).and_then(|date| date.iso());
    let state = |code: &str| {
        mrz::country::find(code).map_or_else(|| code.to_owned(), |country| country.alpha3().to_owned())
    };
    json!({
        "document_type": dg1.document_code,
        "issuing_country": state(&dg1.issuing_state),
        "document_number": dg1.document_number,
        "expiration_date": date(&dg1.date_of_expiry, Meaning::Expiry),
        "first_name": dg1.given_names,
        "last_name": dg1.surname,
        "birth_date": date(&dg1.date_of_birth, Meaning::Past),
        "gender": match dg1.sex.as_str() { "M" | "F" => json!(dg1.sex), _ => Value::Null },
        "nationality": state(&dg1.nationality),
        "address": detail(dg11, "permanent_address"),
        "place_of_birth": detail(dg11, "place_of_birth"),
    })
}

impl Service {
    /// Verifies the files of a chip.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub async fn verify_chip(&self, access: &Access, input: ChipFiles) -> Result<Answer, StandaloneError> {
        let (trust, application) = (Arc::clone(&self.trust), access.application);
        let now = self.now();
        let common = input.common.clone();
        let ((block, status), pictures) = self
            .pool
            .run(Work::Check, move || {
                let trust = trust.of(application).map_err(|reason| StandaloneError::Failed(reason.into()))?;
                let report = emrtd::verify(&Input {
                    sod: &input.sod,
                    data_groups: &input.data_groups,
                    complete_read: false,
                    active_authentication: input.active_authentication.as_ref().map(
                        |(challenge, response)| ActiveAuthentication {
                            challenge,
                            response,
                            challenge_is_ours: false,
                        },
                    ),
                    chip_authentication: None,
                    trust: &trust,
                    now: Some(Time(now.seconds())),
                });
                let groups = &input.data_groups;
                let shown = shown(&report, groups, crate::date_of(now));
                Ok::<_, StandaloneError>((shown, pictures(&report, groups)))
            })
            .await??;
        self.answer_check(access, &common, "NFC_VERIFICATION", Feature::Nfc, block, status, pictures).await
    }
}

/// The block of a report, with its status.
fn shown(report: &Report, groups: &BTreeMap<u8, Vec<u8>>, today: jiff::civil::Date) -> (Value, &'static str) {
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
    let portrait = groups.get(&2).and_then(|bytes| face::parse(bytes).ok()).is_some();
    let dg_integrity = report
        .dg_hashes
        .values()
        .all(|status| !matches!(status, GroupStatus::Mismatch | GroupStatus::NotInSod));
    let block = json!({
        "status": status,
        "chip_data": dg1.map(|dg1| chip_data(&dg1, vouched(report, groups, 11), today)),
        "has_portrait": portrait,
        "authenticity": {
            "sod_integrity": report.sod_signature == SodSignature::Valid,
            "dg_integrity": dg_integrity,
        },
        "certificate_summary": report.certificate_summary,
        "report": report,
        "warnings": warnings,
    });
    (block, status)
}
