//! The chip's part in a session: what was read through the relay, against the pictures.

use std::collections::BTreeMap;

use emrtd::{
    Report,
    relay::Bytes,
    terminal::Reading,
    verify::{GroupStatus, ProofOfChip, Verdict},
};
use evidence::Signal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{CheckState, Definition, Feature, Finding};

use super::shown;
use crate::{
    checks::{self, Examined, Submission},
    engines::Engines,
};

/// A judged reading as it is stored with its session.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    report: Report,
    access: String,
    data_groups: BTreeMap<u8, Bytes>,
    sod: Bytes,
    skipped: Vec<String>,
    round_trips: usize,
    commands: usize,
}

impl Kept {
    pub(crate) fn of(report: Report, reading: Reading) -> Self {
        Self {
            report,
            access: reading.access,
            data_groups: reading.data_groups.into_iter().map(|(n, file)| (n, Bytes(file))).collect(),
            sod: Bytes(reading.sod),
            skipped: reading.skipped,
            round_trips: reading.round_trips,
            commands: reading.commands,
        }
    }
}

/// Fields of the chip that must agree with what was read on the document: name in `chip_data`, name in the document's
/// block.
const AGREE: [(&str, &str); 3] = [
    ("document_number", "document_number"),
    ("birth_date", "date_of_birth"),
    ("expiration_date", "expiration_date"),
];

/// Adds the chip to what the pictures gave. `None` says that no chip was read.
/// Gives the workflow by which the session is judged: a proven chip outranks what pictures look like.
pub(crate) fn add_chip(
    engines: &Engines,
    definition: Definition,
    submission: &Submission,
    kept: Option<&[u8]>,
    examined: &mut Examined,
) -> Definition {
    if !definition.has(Feature::Nfc) {
        return definition;
    }
    let Some(kept) = kept else {
        let mut finding = Finding::done(Feature::Nfc);
        let reason = "no chip was read before the session was handed in";
        finding.signals.push(Signal::certain(
            "SKIPPED_NFC_VALIDATION",
            "emrtd.relay/1",
            json!({ "reason": reason }),
        ));
        examined.add(finding, json!({ "skip_reason": reason, "chip_data": null, "report": null }));
        return definition;
    };
    let Ok(kept) = serde_json::from_slice::<Kept>(kept) else {
        examined.add(Finding::failed(Feature::Nfc, "the stored reading cannot be read"), json!({}));
        return definition;
    };
    let groups: BTreeMap<u8, Vec<u8>> = kept.data_groups.into_iter().map(|(n, file)| (n, file.0)).collect();
    let report = &kept.report;
    let (mut block, _) = shown(report, &groups, submission.today);
    let mut finding = Finding::done(Feature::Nfc);
    finding.signals = emrtd::signals::signals(report);
    let genuine = report.verdict == Verdict::Genuine && !report.clone_suspected;
    if !genuine {
        // Settings may soften a warning; a chip that is not genuine is never approved.
        finding.state = CheckState::NotEvaluated("the chip was not verified".to_owned());
    }
    let compared = agreement(&block["chip_data"], examined.block(Feature::Ocr).as_ref());
    let differing: Vec<&str> =
        compared.iter().filter(|(_, agrees)| **agrees == Some(false)).map(|(name, _)| *name).collect();
    if !differing.is_empty() {
        let shows = json!({ "fields": differing });
        finding.signals.push(Signal::certain("NFC_AND_OCR_DATA_NOT_SAME", "emrtd.agreement/1", shows));
    }
    if genuine && compared.values().any(Option::is_none) {
        let missing: Vec<&str> =
            compared.iter().filter(|(_, agrees)| agrees.is_none()).map(|(name, _)| *name).collect();
        // Not compared is not agreed: without the whole set the chip could be another document's.
        finding.state = CheckState::NotEvaluated(format!("not compared: {}", missing.join(", ")));
    }
    let agrees = compared.values().all(|agrees| *agrees == Some(true));
    block["agreement"] = json!(compared);
    block["access"] = json!(kept.access);
    block["skip_reason"] = Value::Null;
    block["skipped"] = json!(kept.skipped);
    block["round_trips"] = json!(kept.round_trips);
    block["commands"] = json!(kept.commands);
    examined.add(finding, block);
    examined.pictures.extend(super::pictures(report, &groups));

    // Where faces are compared, a chip outranks the picture only with its own portrait compared: else the printed one
    // could be anybody's.
    let signed_portrait = genuine && report.dg_hashes.get(&2) == Some(&GroupStatus::Match);
    let portrait_seen = !definition.has(Feature::FaceMatch)
        || signed_portrait
            && compare_face(engines, examined, groups.get(&2).map_or(&[][..], Vec::as_slice), submission);
    let proven = [report.active_authentication, report.chip_authentication].contains(&ProofOfChip::Valid);
    if genuine && proven && agrees && portrait_seen {
        workflow::with_proven_chip(definition)
    } else {
        definition
    }
}

/// Whether each field agrees; `None` where one side lacks it.
fn agreement(chip: &Value, document: Option<&Value>) -> BTreeMap<&'static str, Option<bool>> {
    let bare = |value: &Value| {
        let text = value.as_str()?;
        let kept: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        (!kept.is_empty()).then(|| kept.to_ascii_uppercase())
    };
    AGREE
        .into_iter()
        .map(|(ours, theirs)| {
            let printed = document.and_then(|block| bare(&block[theirs]));
            (ours, bare(&chip[ours]).zip(printed).map(|(a, b)| a == b))
        })
        .collect()
}

/// Compares the selfie with the portrait that the issuer signed, in place of the one cut out of a picture; whether
/// that was possible.
fn compare_face(engines: &Engines, examined: &mut Examined, group: &[u8], submission: &Submission) -> bool {
    // A signed portrait that cannot be decoded leaves the printed one in use.
    let Some(portrait) = super::portrait(group) else { return false };
    let selfie = checks::look(engines, submission.selfie.as_deref());
    let given = submission.portrait.as_deref();
    let (finding, mut block) = checks::compare_faces(engines, Some(&portrait), given, &selfie);
    if finding.state != CheckState::Done || finding.score.is_none() {
        return false;
    }
    block["source"] = json!("chip");
    examined.add(finding, block);
    true
}

#[cfg(test)]
mod tests {
    use emrtd::{
        ber::element,
        simulator::{self, Fault, Issuer, NOW, Recipe, seeded},
        terminal::{Settings, Step, Terminal},
        trust::TrustStore,
    };
    use workflow::{FeatureStatus, judge};

    use super::*;

    /// A simulated passport, read and judged; `trusted` says whether its issuer is known.
    fn kept(fault: Fault, trusted: bool) -> Vec<u8> {
        kept_of(&Recipe { fault, ..Recipe::passport(500) }, trusted)
    }

    fn kept_of(recipe: &Recipe, trusted: bool) -> Vec<u8> {
        let issuer = Issuer::european("UT", &mut seeded(1)).unwrap();
        let mut trust = TrustStore::default();
        if trusted {
            trust.import("csca", &issuer.csca, &[], None).unwrap();
        }
        let mut chip = recipe.issue(&issuer, Box::new(seeded(2))).unwrap();
        let mut terminal =
            Terminal::new(recipe.password().unwrap(), Settings::default(), Box::new(seeded(3)));
        let Step::Done(reading) = simulator::run(&mut terminal, &mut chip) else { panic!("is read") };
        let report = reading.judge(&trust, Some(NOW));
        serde_json::to_vec(&Kept::of(report, *reading)).unwrap()
    }

    /// What the session's checks make of a chip beside a document with this number: status of the chip, and of a
    /// document whose picture looks like a screen.
    fn decided(kept: Option<&[u8]>, number: &str) -> (FeatureStatus, FeatureStatus, Vec<String>) {
        decided_by(&[Feature::Ocr, Feature::Nfc], kept, number)
    }

    fn decided_by(
        features: &[Feature],
        kept: Option<&[u8]>,
        number: &str,
    ) -> (FeatureStatus, FeatureStatus, Vec<String>) {
        let models = tempfile::tempdir().unwrap();
        let engines = Engines::open(models.path()).unwrap();
        let definition = Definition::of(features);
        let submission = Submission {
            definition: definition.clone(),
            front: None,
            back: None,
            selfie: None,
            challenge: None,
            portrait: None,
            expected: None,
            today: jiff::civil::date(2026, 1, 1),
            passwords: [None, None],
            specimens_allowed: true,
        };
        let mut examined = Examined::default();
        let mut document = Finding::done(Feature::Ocr);
        document.signals.push(Signal::measured("SCREEN_CAPTURE_DETECTED", 0.9, 0.5, "test/1", Value::Null));
        let block = json!({ "document_number": number, "date_of_birth": "1974-08-12", "expiration_date": "2012-04-15" });
        examined.add(document, block);
        let definition = add_chip(&engines, definition, &submission, kept, &mut examined);
        let verdict = |feature: Feature| {
            let node = definition.nodes.iter().find(|node| node.feature == feature).unwrap();
            judge(node, examined.finding(feature).unwrap())
        };
        let chip = verdict(Feature::Nfc);
        let risks = chip.warnings.iter().map(|warning| warning.risk.clone()).collect();
        (chip.status, verdict(Feature::Ocr).status, risks)
    }

    #[test]
    fn a_proven_chip_of_the_same_document_is_approved_and_outranks_the_picture() {
        let kept = kept(Fault::None, true);
        let (chip, document, risks) = decided(Some(&kept), "L898902C3");
        assert_eq!((chip, document, risks), (FeatureStatus::Approved, FeatureStatus::Approved, Vec::new()));
    }

    #[test]
    fn where_faces_are_compared_a_proven_chip_outranks_nothing_without_its_own_portrait() {
        let kept = kept(Fault::None, true);
        let features = [Feature::Ocr, Feature::Nfc, Feature::FaceMatch];
        let (chip, document, _) = decided_by(&features, Some(&kept), "L898902C3");
        assert_eq!((chip, document), (FeatureStatus::Approved, FeatureStatus::InReview));
    }

    #[test]
    fn pictures_and_places_of_the_chip_are_shown_where_its_issuer_signed_them() {
        // A test of this crate has no program that could be started as a decoder.
        decoder::use_this_process();
        let jpeg = |grey| imaging::encode_jpeg(&imaging::RgbImage::from_pixel(40, 50, [grey; 3].into()), 90);
        let details =
            [element(0x5F11, b"MADRID<MADRID"), element(0x5F42, b"CALLE MAYOR 123<<MADRID")].concat();
        let mark = [element(0x02, &[1]), element(0x5F43, &jpeg(200))].concat();
        let mut recipe = Recipe { face: jpeg(90), ..Recipe::passport(500) };
        recipe.extra_groups.insert(11, element(0x6B, &details));
        recipe.extra_groups.insert(7, element(0x67, &mark));
        let kept: Kept = serde_json::from_slice(&kept_of(&recipe, true)).unwrap();
        let mut groups: BTreeMap<u8, Vec<u8>> =
            kept.data_groups.into_iter().map(|(n, file)| (n, file.0)).collect();
        let today = jiff::civil::date(2026, 1, 1);
        let (block, _) = shown(&kept.report, &groups, today);
        assert_eq!(block["chip_data"]["place_of_birth"], "MADRID, MADRID");
        assert_eq!(block["chip_data"]["address"], "CALLE MAYOR 123, MADRID");
        let names: Vec<_> =
            super::super::pictures(&kept.report, &groups).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["chip_portrait", "chip_signature"]);

        // Nobody vouches for what is not in the security object.
        let mut report = kept.report;
        for number in [2, 7, 11] {
            report.dg_hashes.insert(number, GroupStatus::Mismatch);
        }
        assert!(super::super::pictures(&report, &groups).is_empty());
        assert_eq!(shown(&report, &groups, today).0["chip_data"]["address"], Value::Null);
        groups.insert(2, b"no portrait".to_vec());
        report.dg_hashes.insert(2, GroupStatus::Match);
        assert!(super::super::pictures(&report, &groups).is_empty());
    }

    #[test]
    fn the_chip_of_another_document_goes_to_review_and_outranks_nothing() {
        let kept = kept(Fault::None, true);
        let (chip, document, risks) = decided(Some(&kept), "X00000000");
        assert_eq!((chip, document), (FeatureStatus::InReview, FeatureStatus::InReview));
        assert_eq!(risks, ["NFC_AND_OCR_DATA_NOT_SAME"]);
    }

    #[test]
    fn a_chip_that_nobody_vouches_for_a_copy_and_a_missing_one_are_never_approved() {
        let untrusted = kept(Fault::None, false);
        assert_eq!(decided(Some(&untrusted), "L898902C3").0, FeatureStatus::InReview);
        for fault in [Fault::Clone, Fault::HidesKeys, Fault::ChangedGroup] {
            let (chip, document, _) = decided(Some(&kept(fault, true)), "L898902C3");
            assert_eq!((chip, document), (FeatureStatus::Declined, FeatureStatus::InReview), "{fault:?}");
        }
        assert_eq!(decided(Some(b"rubbish"), "L898902C3").0, FeatureStatus::InReview);
        let (chip, document, risks) = decided(None, "L898902C3");
        assert_eq!((chip, document), (FeatureStatus::InReview, FeatureStatus::InReview));
        assert_eq!(risks, ["SKIPPED_NFC_VALIDATION"]);
    }

    #[test]
    fn fields_agree_whatever_their_punctuation_and_what_is_missing_is_not_agreed() {
        let chip =
            json!({ "document_number": "L898902C3", "birth_date": "1974-08-12", "expiration_date": null });
        let document = json!({ "document_number": "L898902-C3", "date_of_birth": "1974-08-13", "expiration_date": "2030-01-01" });
        let compared = agreement(&chip, Some(&document));
        assert_eq!(compared["document_number"], Some(true));
        assert_eq!(compared["birth_date"], Some(false));
        assert_eq!(compared["expiration_date"], None);
        assert!(agreement(&chip, None).values().all(Option::is_none));
    }
}
