//! The table of kinds: `data/kinds.toml`, read once.

use serde::Deserialize;
use std::sync::OnceLock;

/// One entry of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) country: String,
    pub(crate) name: String,
    /// Whether people carry it.
    #[serde(default)]
    pub(crate) personal: bool,
    /// Characters that separate and mean nothing.
    #[serde(default = "separators")]
    strip: String,
    /// Country prefixes that may stand before it, the longest first.
    #[serde(default)]
    prefix: Vec<String>,
    /// Lengths it may have once stripped; empty: the rule judges.
    #[serde(default)]
    pub(crate) lengths: Vec<usize>,
    /// Shorter numbers are filled to this length with zeros on the left.
    #[serde(default)]
    pad: usize,
    /// Digits that may not come first.
    #[serde(default)]
    pub(crate) first_not: String,
    /// Whether a number of zeros only is refused.
    #[serde(default)]
    pub(crate) not_zero: bool,
    /// The check, when it belongs to a family; else a function of `rules` with the entry's id.
    #[serde(default)]
    pub(crate) rule: Option<Rule>,
}

/// A family of checks.
#[derive(Debug, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Rule {
    /// Decimal digits only; nothing is checked but the form.
    Digits,
    /// Luhn over decimal digits.
    Luhn,
    /// Verhoeff over decimal digits.
    Verhoeff,
    /// Damm over decimal digits.
    Damm,
    /// ISO 7064 MOD 11,10.
    #[serde(rename = "mod_11_10")]
    Mod1110,
    /// The whole number modulo `modulus` leaves `rest`.
    Modulo { modulus: u64, rest: u64 },
    /// Sum of digit × weight over all digits leaves `rest`; weights are aligned to the right.
    Sum {
        weights: Vec<i64>,
        modulus: i64,
        #[serde(default)]
        rest: i64,
    },
    /// Sum of digit × weight over all digits but the last, modulo the length of `check`, picks the last character
    /// out of `check`; `!` there is a sum that no number may have, `+` asks `again`, with its own weights and check.
    Weighted {
        weights: Vec<i64>,
        check: String,
        #[serde(default)]
        again: Option<Again>,
    },
}

/// The second round of a weighted check.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Again {
    pub(crate) weights: Vec<i64>,
    pub(crate) check: String,
}

fn separators() -> String {
    " -.".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: Vec<Entry>,
}

/// Every entry, sorted by id.
pub(crate) fn all() -> &'static [Entry] {
    static TABLE: OnceLock<Vec<Entry>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let file: File =
            toml::from_str(include_str!("../data/kinds.toml")).expect("a test reads the embedded table");
        let mut kinds = file.kind;
        kinds.sort_by(|a, b| a.id.cmp(&b.id));
        kinds
    })
}

/// The entry of one kind.
pub(crate) fn find(id: &str) -> Option<&'static Entry> {
    let all = all();
    all.binary_search_by(|entry| entry.id.as_str().cmp(id)).ok().and_then(|at| all.get(at))
}

impl Entry {
    /// The number without separators and country prefix, in capitals, filled with zeros.
    pub(crate) fn compact(&self, number: &str) -> String {
        let mut text: String = number
            .trim()
            .chars()
            .map(plain)
            .flat_map(char::to_uppercase)
            .filter(|c| !self.strip.contains(*c))
            .collect();
        if let Some(rest) = self.prefix.iter().find_map(|prefix| text.strip_prefix(prefix.as_str())) {
            text = rest.to_owned();
        }
        let length = text.chars().count();
        if length < self.pad && length > 0 {
            text.insert_str(0, &"0".repeat(self.pad - length));
        }
        text
    }
}

/// Dashes, spaces, full-width and Arabic digits as their ASCII equals.
fn plain(c: char) -> char {
    match c {
        '\u{00ad}'
        | '\u{2010}'..='\u{2015}'
        | '\u{2212}'
        | '\u{2043}'
        | '\u{fe58}'
        | '\u{fe63}'
        | '\u{ff0d}' => '-',
        '\u{00a0}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\t' | '\n' | '\r' => {
            ' '
        }
        '\u{ff10}'..='\u{ff19}' | '\u{0660}'..='\u{0669}' | '\u{06f0}'..='\u{06f9}' => {
            char::from_digit((c as u32 - if c >= '\u{ff10}' { 0xff10 } else { 0x660 }) % 16, 10).unwrap_or(c)
        }
        '\u{2018}' | '\u{2019}' | '\u{02bc}' => '\'',
        '\u{ff0f}' | '\u{2044}' | '\u{2215}' => '/',
        '\u{ff0e}' | '\u{2024}' | '\u{00b7}' => '.',
        _ => c,
    }
}
