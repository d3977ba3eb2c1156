//! What a check's folder states about it: the typed form of `manifest.toml`.

use serde::Deserialize;

use crate::facts::Fact;

/// A check's names, needs and gifts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// How it is called.
    pub names: Names,
    /// How decisions show it.
    pub decision: Decision,
    /// What the person hands in for it: names of captures.
    #[serde(default)]
    pub asks: Vec<String>,
    /// What passes between it and other checks.
    #[serde(default)]
    pub facts: Exchange,
    /// The codes it gives.
    pub risks: Risks,
    /// Scores, 0 to 100, at or below which it declines or asks for review, where the owner sets none and the models
    /// in use state none.
    pub thresholds: Option<Thresholds>,
    /// How it is asked for alone; without this it is part of workflows only.
    pub single: Option<Single>,
    /// What it costs to run.
    pub cost: Cost,
}

/// A check that is asked for alone, over HTTP.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Single {
    /// Name under which the request is kept.
    pub name: String,
    /// Form fields with pictures, and the captures that they are.
    #[serde(default)]
    pub fields: Vec<Picture>,
    /// Fields of the answer that show pictures.
    #[serde(default)]
    pub pictures: Vec<Picture>,
    /// Risks that are told and decide nothing: whether they matter, the caller knows.
    #[serde(default)]
    pub informs: Vec<String>,
    /// Risks that end the request with an error: there is nothing to judge.
    #[serde(default)]
    pub refuses: Vec<String>,
    /// Whether a technical failure is answered like a result that is not approved; otherwise it is an error.
    #[serde(default)]
    pub answers_failures: bool,
    /// Whether it needs the consent that the application may require for faces.
    #[serde(default)]
    pub needs_consent: bool,
    /// Whether the face is searched among the enrolled ones, where the application does that.
    #[serde(default)]
    pub searches_faces: bool,
    /// Whether the face of a saved request is enrolled, where the application searches faces.
    #[serde(default)]
    pub enrols_face: bool,
}

/// The spellings of a check's name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// In workflows, such as `OCR`.
    pub workflow: String,
    /// In decisions and warnings, such as `ID_VERIFICATION`; two checks may share one.
    pub decision: String,
    /// In lists of sessions.
    pub list: String,
}

/// The place of a check in a decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The list that holds its blocks, such as `id_verifications`; without one its block is kept and not shown.
    pub list: Option<String>,
    /// Whether the block tells the thresholds under which its score was judged.
    #[serde(default)]
    pub tells_thresholds: bool,
    /// Fields that show pictures.
    #[serde(default)]
    pub pictures: Vec<Picture>,
}

/// A field of a block that shows a picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// The field.
    pub field: String,
    /// The capture it shows.
    pub shows: String,
    /// The capture it shows instead, where the block's `source` says `chip`.
    pub from_chip: Option<String>,
}

/// Facts that a check takes and gives.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exchange {
    /// It cannot run without one of each group: a fact, or a capture by its name.
    pub needs: Vec<Vec<String>>,
    /// It waits for checks that give one of these.
    pub uses: Vec<Fact>,
    /// What it gives.
    pub gives: Vec<Fact>,
}

/// Risk codes of a check.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risks {
    /// It could not run.
    pub could_not_run: String,
    /// Nothing could judge the input.
    pub not_evaluated: String,
    /// Its score lies under a threshold; a check without a score has none.
    pub low_score: Option<String>,
    /// Everything else that it may raise.
    pub may_raise: Vec<String>,
}

impl Risks {
    /// Every code.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [&self.could_not_run, &self.not_evaluated]
            .into_iter()
            .chain(&self.low_score)
            .chain(&self.may_raise)
            .map(String::as_str)
    }
}

/// Scores that divide decline, review and approval.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// A score at or below this declines.
    pub decline: f64,
    /// A score at or below this goes to review.
    pub review: f64,
}

/// What running a check takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Whether it computes on the cores, or waits for something else.
    pub computes: bool,
    /// Engines without which it cannot run at all: `reader`, `faces`, `age`.
    #[serde(default)]
    pub engines: Vec<String>,
}

/// Reads a manifest; every one is read by a test.
pub(crate) fn read(text: &str) -> Manifest {
    toml::from_str(text).expect("every manifest is tested to parse")
}
