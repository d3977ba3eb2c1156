//! The chip's part in a session: what was read through the relay, against the document's identity.

use std::collections::BTreeMap;

use emrtd::{
    Report,
    relay::Bytes,
    terminal::Reading,
    verify::{GroupStatus, ProofOfChip, Verdict},
};
use evidence::Signal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use workflow::{CheckState, Feature, Finding};

use super::block::{self, ChipData, shown};
use crate::{
    Env, Input, Ran, chain,
    facts::{ChipProof, Facts, Identity, Portrait, Source, Text},
};

/// A judged reading as it is stored with its session.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    report: Report,
    access: String,
    data_groups: BTreeMap<u8, Bytes>,
    sod: Bytes,
    skipped: Vec<String>,
    round_trips: usize,
    commands: usize,
}

impl Kept {
    /// What is kept of a reading.
    pub fn of(report: Report, reading: Reading) -> Self {
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

/// The block of a chip in a session, without status, warnings and pictures.
#[derive(Debug, Serialize)]
struct Block<'a> {
    #[serde(flatten)]
    chip: block::Block<'a>,
    agreement: &'a Agreement,
    access: &'a str,
    skip_reason: Option<()>,
    skipped: &'a [String],
    round_trips: usize,
    commands: usize,
}

/// Whether each field agrees with the document; `None` where one side lacks it.
type Agreement = BTreeMap<&'static str, Option<bool>>;

/// Adds the chip to what the pictures gave.
pub(super) fn run(env: &Env, input: &Input<'_>) -> Ran {
    let Some(kept) = input.submission.capture("chip") else {
        let mut finding = Finding::done(Feature::Nfc);
        let reason = "no chip was read before the session was handed in";
        let shows = json!({ "reason": reason });
        finding.signals.push(Signal::certain("SKIPPED_NFC_VALIDATION", "emrtd.relay/1", shows));
        return Ran::of(finding, json!({ "skip_reason": reason, "chip_data": null, "report": null }));
    };
    let Ok(kept) = serde_json::from_slice::<Kept>(&kept.bytes) else {
        return Ran::failed(Feature::Nfc, "the stored reading cannot be read");
    };
    let groups: block::Groups = kept.data_groups.into_iter().map(|(n, file)| (n, file.0)).collect();
    let report = &kept.report;
    let chip = shown(report, &groups, env.today);
    let mut finding = Finding::done(Feature::Nfc);
    finding.signals = emrtd::signals::signals(report);
    let genuine = report.verdict == Verdict::Genuine && !report.clone_suspected;
    if !genuine {
        // Settings may soften a warning; a chip that is not genuine is never approved.
        finding.state = CheckState::NotEvaluated("the chip was not verified".to_owned());
    }
    let compared = agreement(chip.chip_data.as_ref(), input.facts.identity.as_ref());
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
    let proven = [report.active_authentication, report.chip_authentication].contains(&ProofOfChip::Valid);
    // A signed portrait that cannot be decoded leaves the printed one in use.
    let signed = genuine && report.dg_hashes.get(&2) == Some(&GroupStatus::Match);
    let portrait = groups.get(&2).filter(|_| signed).and_then(|group| block::portrait(group));
    let block = serde_json::to_value(Block {
        chip,
        agreement: &compared,
        access: &kept.access,
        skip_reason: None,
        skipped: &kept.skipped,
        round_trips: kept.round_trips,
        commands: kept.commands,
    });
    let block = match block {
        Ok(block) => block,
        Err(error) => return Ran::failed(Feature::Nfc, &chain(&error)),
    };
    Ran {
        facts: Facts {
            portraits: portrait.into_iter().map(|image| Portrait { image, source: Source::Chip }).collect(),
            chip_proof: (genuine && proven && agrees).then_some(ChipProof),
            ..Facts::default()
        },
        pictures: block::pictures(report, &groups),
        ..Ran::of(finding, block)
    }
}

/// Compares what must agree; letters and digits count, not how they are set apart.
fn agreement(chip: Option<&ChipData>, document: Option<&Identity>) -> Agreement {
    let bare = |text: &str| {
        let kept: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        (!kept.is_empty()).then(|| kept.to_ascii_uppercase())
    };
    let agree = |chip: Option<&str>, printed: fn(&Identity) -> &Text| {
        let printed = document.and_then(|identity| bare(&printed(identity).as_ref()?.value));
        chip.and_then(bare).zip(printed).map(|(a, b)| a == b)
    };
    let number = chip.map(|chip| chip.document_number.as_str());
    let birth = chip.and_then(|chip| chip.birth_date.as_deref());
    let expiry = chip.and_then(|chip| chip.expiration_date.as_deref());
    BTreeMap::from([
        ("document_number", agree(number, |identity| &identity.document_number)),
        ("birth_date", agree(birth, |identity| &identity.date_of_birth)),
        ("expiration_date", agree(expiry, |identity| &identity.expiration_date)),
    ])
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
