//! What the person must do next, as data: the hosted page only shows it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Definition, Feature};

/// Something the person captures or uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// The side of the document with the portrait.
    Front,
    /// The other side.
    Back,
    /// A picture of the person's face.
    Selfie,
}

impl Capture {
    /// Name in addresses and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Back => "back",
            Self::Selfie => "selfie",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Front, Self::Back, Self::Selfie].into_iter().find(|capture| capture.as_str() == text)
    }
}

/// How far the person is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Consent was recorded.
    pub consented: bool,
    /// What was captured.
    pub captured: BTreeSet<Capture>,
    /// The person said that the document has no other side, or its type has none.
    pub back_skipped: bool,
    /// Everything was handed in; the checks run.
    pub submitted: bool,
    /// The checks ended.
    pub decided: bool,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step", content = "capture")]
pub enum Step {
    /// Read what happens with the data, and agree.
    Consent,
    /// Capture or upload a picture.
    Capture(Capture),
    /// Hand everything in.
    Submit,
    /// Wait for the checks.
    Waiting,
    /// See the result.
    Result,
}

/// The next step of a session; pure, and it always ends: every step done brings a later one.
pub fn next_step(definition: &Definition, progress: &Progress) -> Step {
    if progress.decided {
        return Step::Result;
    }
    if progress.submitted {
        return Step::Waiting;
    }
    if !progress.consented {
        return Step::Consent;
    }
    let needs_document = definition.has(Feature::Ocr);
    let needs_selfie = [Feature::Liveness, Feature::FaceMatch, Feature::AgeEstimation]
        .into_iter()
        .any(|feature| definition.has(feature));
    let missing = |capture| !progress.captured.contains(&capture);
    if needs_document && missing(Capture::Front) {
        return Step::Capture(Capture::Front);
    }
    if needs_document && missing(Capture::Back) && !progress.back_skipped {
        return Step::Capture(Capture::Back);
    }
    if needs_selfie && missing(Capture::Selfie) {
        return Step::Capture(Capture::Selfie);
    }
    Step::Submit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kyc_session_walks_from_consent_to_result_and_ends() {
        let definition = Definition::of(&[Feature::Ocr, Feature::FaceMatch]);
        let mut progress = Progress::default();
        let mut seen = Vec::new();
        for _ in 0..10 {
            let step = next_step(&definition, &progress);
            seen.push(step);
            match step {
                Step::Consent => progress.consented = true,
                Step::Capture(Capture::Back) => progress.back_skipped = true,
                Step::Capture(capture) => drop(progress.captured.insert(capture)),
                Step::Submit => progress.submitted = true,
                Step::Waiting => progress.decided = true,
                Step::Result => break,
            }
        }
        assert_eq!(
            seen,
            [
                Step::Consent,
                Step::Capture(Capture::Front),
                Step::Capture(Capture::Back),
                Step::Capture(Capture::Selfie),
                Step::Submit,
                Step::Waiting,
                Step::Result
            ]
        );
    }

    #[test]
    fn a_document_only_workflow_asks_for_no_selfie() {
        let definition = Definition::of(&[Feature::Ocr]);
        let progress = Progress {
            consented: true,
            captured: [Capture::Front, Capture::Back].into(),
            ..Progress::default()
        };
        assert_eq!(next_step(&definition, &progress), Step::Submit);
    }
}
