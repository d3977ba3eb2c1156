//! Document templates: what a document of one kind prints, as data.
//!
//! A template is a TOML file (`data/templates/*.toml`, an operator's folder besides). It names the document,
//! how it is recognised (MRZ code and issuer, or text anchors), where its fields stand relative to printed
//! words, and what must hold between values. It holds no code and no expressions; patterns run on the
//! linear-time `regex` crate with a size limit. Unknown keys are errors. `data/template.schema.json` is the
//! same format as JSON Schema.

use std::path::Path;

use serde::Deserialize;

use crate::fold::{edit_distance, fold, slips_allowed};

/// Largest template file taken from an operator's folder.
const MOST_BYTES: usize = 64 * 1024;
/// Largest compiled pattern.
const MOST_PATTERN_BYTES: usize = 256 * 1024;

/// Why a template was refused.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file could not be read.
    #[error("the template file could not be read")]
    Read(#[source] std::io::Error),
    /// The file is larger than a template may be.
    #[error("the template has {0} bytes, more than the {MOST_BYTES} allowed")]
    TooLarge(usize),
    /// It is no TOML of the template format.
    #[error("the template does not follow the format")]
    Format(#[source] Box<toml::de::Error>),
    /// A pattern does not compile or is too large.
    #[error("the pattern of field {field} does not compile")]
    Pattern {
        /// Field it belongs to.
        field: String,
        /// What the regex engine said.
        #[source]
        source: Box<regex::Error>,
    },
    /// A value is outside what it may be.
    #[error("{0}")]
    Value(String),
}

/// One kind of document.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Version of the format: 1.
    pub schema: u32,
    /// `country.type.series`, such as `es.dni.2015`.
    pub id: String,
    /// ICAO alpha-3 code of the issuer.
    pub country: String,
    /// What kind of document it is.
    #[serde(rename = "type")]
    pub kind: DocumentKind,
    /// Card format of ISO/IEC 7810.
    pub size: Size,
    /// Display names by language.
    pub names: std::collections::BTreeMap<String, String>,
    /// Where the facts come from.
    pub source: String,
    /// ISO 639-2 codes of the languages printed.
    #[serde(default)]
    pub languages: Vec<String>,
    /// First day of issue, ISO 8601, when known.
    #[serde(default)]
    pub issued_from: Option<String>,
    /// How it is recognised.
    pub identify: Identify,
    /// What each side carries.
    #[serde(default)]
    pub sides: Sides,
    /// Sets of fields shared by many templates, such as `eu-driving-licence`.
    #[serde(default)]
    pub field_sets: Vec<FieldSet>,
    /// Fields and where they stand.
    #[serde(default, rename = "field")]
    pub fields: Vec<FieldRule>,
    /// What must hold between values.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

/// Kinds of document, with the display names results carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// Passport booklet or card.
    Passport,
    /// National identity card.
    IdCard,
    /// Driving licence.
    DriverLicense,
    /// Residence permit.
    ResidencePermit,
    /// Visa.
    Visa,
    /// Health insurance card.
    HealthInsuranceCard,
    /// Tax card.
    TaxCard,
    /// Social security card.
    SocialSecurityCard,
    /// Work permit.
    WorkPermit,
    /// Voter or other official card.
    Other,
}

impl DocumentKind {
    /// As results name it.
    pub fn display_name(self) -> &'static str {
        match self {
            Self::Passport => "Passport",
            Self::IdCard => "Identity Card",
            Self::DriverLicense => "Driver's License",
            Self::ResidencePermit => "Residence Permit",
            Self::Visa => "Visa",
            Self::HealthInsuranceCard => "Health Insurance Card",
            Self::TaxCard => "Tax Card",
            Self::SocialSecurityCard => "Social Security Card",
            Self::WorkPermit => "Work Permit",
            Self::Other => "Other",
        }
    }
}

/// Card formats of ISO/IEC 7810.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Size {
    /// 85.60 × 53.98 mm.
    #[serde(rename = "ID-1")]
    Id1,
    /// 105 × 74 mm.
    #[serde(rename = "ID-2")]
    Id2,
    /// 125 × 88 mm.
    #[serde(rename = "ID-3")]
    Id3,
}

/// How a document is recognised: by its MRZ, or by anchors whose weights reach the threshold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identify {
    /// MRZ it carries.
    #[serde(default)]
    pub mrz: Option<MrzMatch>,
    /// Sum of anchor weights from which it matches without an MRZ.
    #[serde(default = "default_threshold")]
    pub threshold: f32,
    /// Words it prints.
    #[serde(default, rename = "anchor")]
    pub anchors: Vec<Anchor>,
}

fn default_threshold() -> f32 {
    0.6
}

/// MRZ of a document kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MrzMatch {
    /// `TD1`, `TD2`, `TD3`, `MRVA`, `MRVB`, `FRENCH_ID`, …
    pub format: String,
    /// Document codes it may begin with.
    pub code: Vec<String>,
    /// Issuers as the MRZ writes them.
    pub issuer: Vec<String>,
}

/// Words that stand on a document.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Side they stand on; either when absent.
    #[serde(default)]
    pub side: Option<TemplateSide>,
    /// Any of these phrases counts; compared folded, with one slip in six characters.
    pub any: Vec<String>,
    /// What finding it adds.
    pub weight: f32,
    /// The phrase must be all of a line: for short codes.
    #[serde(default)]
    pub whole_line: bool,
}

/// A side as templates name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateSide {
    /// Portrait side.
    Front,
    /// Other side.
    Back,
}

/// What the sides carry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sides {
    /// Portrait side.
    #[serde(default)]
    pub front: SideRule,
    /// Other side.
    #[serde(default)]
    pub back: SideRule,
}

/// What one side carries.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideRule {
    /// The check needs it.
    #[serde(default)]
    pub required: bool,
    /// It carries an MRZ.
    #[serde(default)]
    pub mrz: bool,
    /// Barcode it carries: `PDF_417`, `QR_CODE`, …
    #[serde(default)]
    pub barcode: Option<String>,
    /// Portrait: left, top, right, bottom as shares.
    #[serde(default)]
    pub portrait: Option<[f32; 4]>,
}

/// Shared sets of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum FieldSet {
    /// Numbered fields 1–9 of Directive 2006/126/EC, Annex I.
    #[serde(rename = "eu-driving-licence")]
    EuDrivingLicence,
}

/// One field and where it stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldRule {
    /// Name in the record.
    pub name: String,
    /// Side; either when absent.
    #[serde(default)]
    pub side: Option<TemplateSide>,
    /// Words it stands beside.
    #[serde(default)]
    pub near: Option<Near>,
    /// Its number on the document ("4a").
    #[serde(default)]
    pub number: Option<String>,
    /// Left, top, right, bottom as shares of the side.
    #[serde(default)]
    pub region: Option<[f32; 4]>,
    /// What the value must match, without its spaces.
    #[serde(default)]
    pub pattern: Option<String>,
    /// What kind of value it is.
    #[serde(default, rename = "type")]
    pub kind: ValueKind,
    /// National number it is, such as `es.dni`: checked by the `idnumber` crate.
    #[serde(default)]
    pub check: Option<String>,
}

/// Words beside a value.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Near {
    /// Any of these.
    pub any: Vec<String>,
    /// Where the value stands from them.
    pub dir: Direction,
}

/// Where a value stands from its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Below, in the same column.
    Below,
    /// On the same line, to the right.
    RightOf,
}

/// Kinds of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// Any text.
    #[default]
    Text,
    /// A name.
    Name,
    /// A date.
    Date,
    /// `M`, `F`, `X`.
    Sex,
    /// A state.
    Country,
    /// A document or personal number.
    Number,
    /// An address, over several lines.
    Address,
}

/// What must hold between two values.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the rule.
    pub id: String,
    /// `source.field`: `mrz.optional_data`, `viz.document_number`, `barcode.…`.
    pub left: String,
    /// How they compare.
    pub op: Operator,
    /// `source.field` or a literal in quotes.
    pub right: String,
    /// Risk when both are known and it does not hold.
    pub on_fail: String,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Equal without separators.
    Eq,
    /// Equal under ICAO Doc 9303-3 §6 transliteration.
    NameEq,
    /// The same day, unknown parts aside.
    DateEq,
    /// Left holds right.
    Contains,
    /// Left is an earlier day.
    Before,
    /// Left is a later day.
    After,
}

impl Template {
    /// Reads and checks one template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MOST_BYTES {
            return Err(TemplateError::TooLarge(text.len()));
        }
        let template: Self = toml::from_str(text).map_err(|e| TemplateError::Format(Box::new(e)))?;
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<(), TemplateError> {
        let bad = |what: String| Err(TemplateError::Value(what));
        if self.schema != 1 {
            return bad(format!("schema {} is not known; this version reads 1", self.schema));
        }
        if self.id.is_empty()
            || !self
                .id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'))
        {
            return bad(format!("id {:?} is not lower-case letters, digits, dots and dashes", self.id));
        }
        if mrz::country::find(&self.country).is_none() {
            return bad(format!("country {:?} is not an ICAO alpha-3 code", self.country));
        }
        if self.source.trim().is_empty() {
            return bad("source says where the facts come from; it is empty".to_owned());
        }
        if self.identify.mrz.is_none() && self.identify.anchors.is_empty() {
            return bad("identify has neither mrz nor anchors".to_owned());
        }
        let sum: f32 = self.identify.anchors.iter().map(|a| a.weight).sum();
        if !self.identify.anchors.is_empty()
            && (self.identify.threshold <= 0.0 || sum < self.identify.threshold || sum.is_nan())
        {
            return bad(format!(
                "anchor weights sum to {sum}, below the threshold {}",
                self.identify.threshold
            ));
        }
        for anchor in &self.identify.anchors {
            if anchor.any.iter().any(|p| fold(p).len() < 2 && !anchor.whole_line)
                || anchor.any.is_empty()
                || anchor.any.len() > 32
            {
                return bad("an anchor needs 1 to 32 phrases of two or more letters".to_owned());
            }
        }
        for field in &self.fields {
            let places = usize::from(field.near.is_some())
                + usize::from(field.number.is_some())
                + usize::from(field.region.is_some());
            if places == 0 {
                return bad(format!("field {} has no place: near, number or region", field.name));
            }
            if let Some(region) = field.region
                && !(region.iter().all(|v| (0.0..=1.0).contains(v))
                    && region[0] < region[2]
                    && region[1] < region[3])
            {
                return bad(format!(
                    "region of field {} is not left, top, right, bottom within 0..1",
                    field.name
                ));
            }
            if let Some(pattern) = &field.pattern {
                compile(pattern)
                    .map_err(|e| TemplateError::Pattern { field: field.name.clone(), source: Box::new(e) })?;
            }
            if let Some(kind) = &field.check
                && !idnumber::kinds().any(|k| k.id == kind)
            {
                return bad(format!(
                    "field {} is checked as {kind:?}, which is no known kind of number",
                    field.name
                ));
            }
        }
        Ok(())
    }

    /// Sum of the weights of the anchors that stand among these lines (folded texts by side).
    pub(crate) fn score(&self, lines: &[(TemplateSide, String)]) -> f32 {
        self.identify
            .anchors
            .iter()
            .filter(|anchor| {
                lines.iter().any(|(side, text)| {
                    anchor.side.is_none_or(|s| s == *side)
                        && anchor.any.iter().any(|phrase| holds(text, &fold(phrase), anchor.whole_line))
                })
            })
            .map(|anchor| anchor.weight)
            .sum()
    }
}

/// Compiles a field's pattern under the size limit.
pub(crate) fn compile(pattern: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(pattern).size_limit(MOST_PATTERN_BYTES).build()
}

/// Whether a folded line holds a folded phrase, with the slips its length allows.
pub(crate) fn holds(line: &str, phrase: &str, whole: bool) -> bool {
    if whole {
        return line == phrase;
    }
    let slips = slips_allowed(phrase.len());
    let squeezed = phrase.replace(' ', "");
    // Spaces come and go in recognised text: compare runs of words without them.
    let words: Vec<&str> = line.split(' ').collect();
    for from in 0..words.len() {
        let mut run = String::new();
        for word in &words[from..] {
            run.push_str(word);
            if run.chars().count() > squeezed.chars().count() + slips {
                break;
            }
            if edit_distance(&run, &squeezed, slips).is_some() {
                return true;
            }
        }
    }
    // One word of the line may hold a long phrase whose spaces were lost.
    phrase.len() >= 8 && line.replace(' ', "").contains(&squeezed)
}

/// The templates a reader knows.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    templates: Vec<Template>,
}

impl Catalogue {
    /// The templates that come with the program.
    pub fn built_in() -> Self {
        let templates = crate::templates::ALL
            .iter()
            .map(|(name, text)| {
                Template::parse(text).unwrap_or_else(|e| panic!("built-in template {name}: {e}"))
            })
            .collect();
        Self { templates }
    }

    /// Adds the `*.toml` of a folder, in the order of their names; one with the id of a known template replaces it.
    ///
    /// # Errors
    /// The first file that cannot be read or is refused, by name.
    pub fn add_folder(&mut self, folder: &Path) -> Result<usize, (std::path::PathBuf, TemplateError)> {
        let entries = fs_err::read_dir(folder).map_err(|e| (folder.to_owned(), TemplateError::Read(e)))?;
        let mut paths: Vec<_> = entries
            .filter_map(Result::ok)
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "toml"))
            .collect();
        paths.sort();
        for path in &paths {
            let add = || {
                let text = fs_err::read_to_string(path).map_err(TemplateError::Read)?;
                Template::parse(&text)
            };
            let template = add().map_err(|e| (path.clone(), e))?;
            self.add(template);
        }
        Ok(paths.len())
    }

    /// Adds one template in place of a known one with the same id.
    pub fn add(&mut self, template: Template) {
        self.templates.retain(|t| t.id != template.id);
        self.templates.push(template);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.templates.iter()
    }

    /// The template of an MRZ: of those with this format, code and issuer, the one with most anchors on the page.
    pub(crate) fn by_mrz(
        &self,
        format: &str,
        code: &str,
        issuer: &str,
        lines: &[(TemplateSide, String)],
    ) -> Option<&Template> {
        self.templates
            .iter()
            .filter(|t| {
                t.identify.mrz.as_ref().is_some_and(|m| {
                    m.format == format
                        && m.code.iter().any(|c| c.trim_end_matches('<') == code.trim_end_matches('<'))
                        && m.issuer.iter().any(|i| i == issuer)
                })
            })
            .max_by(|a, b| a.score(lines).total_cmp(&b.score(lines)))
    }

    /// The template whose anchors stand on the page: above its threshold and clear of every other kind by 0.15.
    pub(crate) fn by_anchors(&self, lines: &[(TemplateSide, String)]) -> Option<(&Template, f32)> {
        let mut scored: Vec<(&Template, f32)> = self
            .templates
            .iter()
            .filter(|t| !t.identify.anchors.is_empty())
            .map(|t| (t, t.score(lines)))
            .collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        let (best, score) = *scored.first()?;
        let rival = scored
            .iter()
            .skip(1)
            .find(|(t, _)| t.country != best.country || t.kind != best.kind)
            .map_or(0.0, |(_, s)| *s);
        (score >= best.identify.threshold && score - rival >= 0.15).then_some((best, score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
schema = 1
id = "ut.id.1"
country = "UTO"
type = "id_card"
size = "ID-1"
source = "made for this test"
names = { en = "Utopian card" }
[identify]
threshold = 0.6
[[identify.anchor]]
any = ["UTOPIA REPUBLIC"]
weight = 0.4
[[identify.anchor]]
any = ["IDENTITY CARD"]
weight = 0.3
[[field]]
name = "document_number"
near = { any = ["CARD NO"], dir = "below" }
pattern = '^\d{8}$'
"#;

    #[test]
    fn a_template_scores_its_anchors_with_slips() {
        let template = Template::parse(GOOD).expect("a good template");
        let lines = [
            (TemplateSide::Front, fold("UTOPIA REPUBL1C")),
            (TemplateSide::Front, fold("IDENTITYCARD 2020")),
        ];
        assert!((template.score(&lines) - 0.7).abs() < 1e-6);
        assert!(template.score(&lines[..1]) < 0.5);
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused() {
        assert!(matches!(
            Template::parse(&GOOD.replace("weight = 0.4", "wieght = 0.4")),
            Err(TemplateError::Format(_))
        ));
        assert!(matches!(Template::parse(&GOOD.replace("UTO\"", "XQX\"")), Err(TemplateError::Value(_))));
        assert!(matches!(Template::parse(&GOOD.replace("{8}$", "{8")), Err(TemplateError::Pattern { .. })));
        assert!(matches!(
            Template::parse(&GOOD.replace(r"\d{8}", r"(\w{900}){900}")),
            Err(TemplateError::Pattern { .. })
        ));
        assert!(matches!(
            Template::parse(&GOOD.replace("source = \"made for this test\"", "source = \"\"")),
            Err(TemplateError::Value(_))
        ));
        assert!(matches!(Template::parse(&"#".repeat(MOST_BYTES + 1)), Err(TemplateError::TooLarge(_))));
    }

    #[test]
    fn every_built_in_template_is_read_and_sourced() {
        let catalogue = Catalogue::built_in();
        let mut ids: Vec<&str> = catalogue.iter().map(|t| t.id.as_str()).collect();
        let n = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), n, "two templates share an id");
    }

    /// The part of JSON Schema that `template.schema.json` uses.
    fn follows(
        schema: &serde_json::Value,
        root: &serde_json::Value,
        value: &serde_json::Value,
    ) -> Result<(), String> {
        if let Some(name) = schema["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
            return follows(&root["$defs"][name], root, value);
        }
        if let Some(list) = schema["enum"].as_array() {
            return if list.contains(value) { Ok(()) } else { Err(format!("{value} is none of {list:?}")) };
        }
        let fits = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            _ => true,
        };
        if !fits {
            return Err(format!("{value} is no {}", schema["type"]));
        }
        if let Some(object) = value.as_object() {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(|n| n.as_str()) {
                object.get(name).ok_or(format!("{name} is missing"))?;
            }
            for (key, value) in object {
                match (schema["properties"].get(key), &schema["additionalProperties"]) {
                    (Some(part), _) => follows(part, root, value)?,
                    (None, serde_json::Value::Bool(false)) => return Err(format!("{key} is no key")),
                    (None, part) => follows(part, root, value)?,
                }
            }
        }
        for value in value.as_array().into_iter().flatten() {
            follows(&schema["items"], root, value)?;
        }
        Ok(())
    }

    #[test]
    fn the_json_schema_and_the_reader_accept_the_same_templates() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../data/template.schema.json")).expect("the schema is JSON");
        for (name, text) in crate::templates::ALL {
            let value: serde_json::Value = toml::from_str(text).expect("the template is TOML");
            follows(&schema, &schema, &value).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let wrong: serde_json::Value =
            toml::from_str(&GOOD.replace("weight = 0.4", "wieght = 0.4")).expect("still TOML");
        assert!(follows(&schema, &schema, &wrong).is_err());
    }

    #[test]
    fn the_embedded_list_names_every_file_of_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/templates");
        let mut files: Vec<String> = fs_err::read_dir(folder)
            .expect("the folder is there")
            .map(|e| e.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(
            files,
            crate::templates::ALL.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
        );
        assert!(files.len() >= 40);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_template_or_an_error(text in "\\PC{0,200}") {
            let _ = Template::parse(&text);
        }
    }
}
