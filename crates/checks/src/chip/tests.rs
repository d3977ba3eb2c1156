//! A simulated chip beside a document: what is proven, what is missed, and what outranks the picture.

use std::sync::Arc;

use emrtd::{
    ber::element,
    simulator::{self, Fault, Issuer, NOW, Recipe, seeded},
    terminal::{Settings, Step, Terminal},
    trust::TrustStore,
};
use serde_json::Value;
use workflow::{Definition, FeatureStatus};

use super::*;
use crate::{Carried, Engines, Examined, Gathered, Submission, facts::Sourced};

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
    let mut terminal = Terminal::new(recipe.password().unwrap(), Settings::default(), Box::new(seeded(3)));
    let Step::Done(reading) = simulator::run(&mut terminal, &mut chip) else { panic!("is read") };
    let report = reading.judge(&trust, Some(NOW));
    serde_json::to_vec(&Kept::of(report, *reading)).unwrap()
}

/// What the session's checks make of a chip beside a document with this number: status of the chip, and of a
/// document whose picture looks like a screen.
fn decided(kept: Option<&[u8]>, number: &str) -> (FeatureStatus, FeatureStatus, Vec<String>) {
    decided_by(&[Feature::Ocr, Feature::Nfc], kept, number)
}

fn text(value: &str, source: Source) -> Text {
    Some(Sourced { value: value.to_owned(), source })
}

fn decided_by(
    features: &[Feature],
    kept: Option<&[u8]>,
    number: &str,
) -> (FeatureStatus, FeatureStatus, Vec<String>) {
    let models = tempfile::tempdir().unwrap();
    let env = Env {
        engines: Arc::new(Engines::open(models.path()).unwrap()),
        today: jiff::civil::date(2026, 1, 1),
        specimens_allowed: true,
        lists: Arc::new(crate::aml::NoLists),
    };
    let definition = Definition::of(features);
    let submission = Submission::of([("chip", kept.map(<[u8]>::to_vec))]);
    let mut examined = Examined::new(definition.clone());
    let mut document = Finding::done(Feature::Ocr);
    document.signals.push(Signal::measured("SCREEN_CAPTURE_DETECTED", 0.9, 0.5, "test/1", Value::Null));
    let identity = Identity {
        document_number: text(number, Source::Print),
        date_of_birth: text("1974-08-12", Source::Zone),
        expiration_date: text("2012-04-15", Source::Zone),
        ..Identity::default()
    };
    let facts = Facts { identity: Some(identity), ..Facts::default() };
    examined.add(&definition.nodes[0].id, Ran { facts, ..Ran::of(document, json!({})) });
    for node in &definition.nodes[1..] {
        let (gathered, options) = (Gathered::default(), Carried::default());
        let facts = &examined.facts;
        let input = Input {
            definition: &definition,
            node,
            submission: &submission,
            facts,
            gathered: &gathered,
            options: &options,
        };
        let ran = crate::round::run_one(&env, &input);
        examined.add(&node.id, ran);
    }
    let verdicts = examined.verdicts(&examined.completed(&env));
    let of = |feature: Feature| verdicts.iter().find(|verdict| verdict.feature == feature).unwrap();
    let chip = of(Feature::Nfc);
    let risks = chip.warnings.iter().map(|warning| warning.risk.clone()).collect();
    (chip.status, of(Feature::Ocr).status, risks)
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
    crate::decode_here();
    let jpeg = |grey| imaging::encode_jpeg(&imaging::RgbImage::from_pixel(40, 50, [grey; 3].into()), 90);
    let details = [element(0x5F11, b"MADRID<MADRID"), element(0x5F42, b"CALLE MAYOR 123<<MADRID")].concat();
    let mark = [element(0x02, &[1]), element(0x5F43, &jpeg(200))].concat();
    let mut recipe = Recipe { face: jpeg(90), ..Recipe::passport(500) };
    recipe.extra_groups.insert(11, element(0x6B, &details));
    recipe.extra_groups.insert(7, element(0x67, &mark));
    let kept: Kept = serde_json::from_slice(&kept_of(&recipe, true)).unwrap();
    let mut groups: BTreeMap<u8, Vec<u8>> =
        kept.data_groups.into_iter().map(|(n, file)| (n, file.0)).collect();
    let today = jiff::civil::date(2026, 1, 1);
    let data = shown(&kept.report, &groups, today).chip_data.unwrap();
    assert_eq!(data.place_of_birth.as_deref(), Some("MADRID, MADRID"));
    assert_eq!(data.address.as_deref(), Some("CALLE MAYOR 123, MADRID"));
    let names: Vec<_> = block::pictures(&kept.report, &groups).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["chip_portrait", "chip_signature"]);

    // Nobody vouches for what is not in the security object.
    let mut report = kept.report;
    for number in [2, 7, 11] {
        report.dg_hashes.insert(number, GroupStatus::Mismatch);
    }
    assert!(block::pictures(&report, &groups).is_empty());
    assert_eq!(shown(&report, &groups, today).chip_data.unwrap().address, None);
    groups.insert(2, b"no portrait".to_vec());
    report.dg_hashes.insert(2, GroupStatus::Match);
    assert!(block::pictures(&report, &groups).is_empty());
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
    let chip = ChipData {
        document_number: "L898902C3".to_owned(),
        birth_date: Some("1974-08-12".to_owned()),
        expiration_date: None,
        ..ChipData::default()
    };
    let document = Identity {
        document_number: text("L898902-C3", Source::Zone),
        date_of_birth: text("1974-08-13", Source::Zone),
        expiration_date: text("2030-01-01", Source::Zone),
        ..Identity::default()
    };
    let compared = agreement(Some(&chip), Some(&document));
    assert_eq!(compared["document_number"], Some(true));
    assert_eq!(compared["birth_date"], Some(false));
    assert_eq!(compared["expiration_date"], None);
    assert!(agreement(Some(&chip), None).values().all(Option::is_none));
}
