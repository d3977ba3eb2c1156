//! Codes of states and organisations in the MRZ (Doc 9303-3 §5), from `data/countries.json`.

use std::sync::LazyLock;

use serde::Deserialize;

/// Where a code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// ISO 3166-1 alpha-3.
    Iso,
    /// Only in Doc 9303-3 §5 (part B, C, D): `D`, `GBD`, `UNO`, `XXA` …
    Icao,
    /// Withdrawn or unofficial, but printed on documents people hold.
    LegacyOrSeen,
    /// `UTO`: specimens only, never a document in use.
    Specimen,
}

/// One code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Country {
    /// As it stands in the MRZ without fillers (`D`, `ESP`).
    pub code: String,
    /// English name.
    pub name: String,
    /// Origin of the code.
    pub kind: Kind,
    /// ISO 3166-1 alpha-2, where one exists.
    #[serde(default)]
    pub alpha2: Option<String>,
    /// ISO 3166-1 alpha-3 of the state meant, where `code` is not it (`D` → `DEU`, `GBO` → `GBR`).
    #[serde(default)]
    iso: Option<String>,
}

impl Country {
    /// The three-letter code other systems understand: `DEU` for `D`, else the code itself.
    #[must_use]
    pub fn alpha3(&self) -> &str {
        self.iso.as_deref().unwrap_or(&self.code)
    }
}

static ALL: LazyLock<Vec<Country>> = LazyLock::new(|| {
    let mut all: Vec<Country> = serde_json::from_str(include_str!("../data/countries.json"))
        .expect("the embedded table is valid, a test reads it");
    all.sort_by(|a, b| a.code.cmp(&b.code));
    all
});

/// Every code, sorted.
#[must_use]
pub fn all() -> &'static [Country] {
    &ALL
}

/// Finds a code; fillers at its end are ignored (`D<<`).
#[must_use]
pub fn find(code: &str) -> Option<&'static Country> {
    let code = code.trim_end_matches('<');
    ALL.binary_search_by(|c| c.code.as_str().cmp(code)).ok().and_then(|i| ALL.get(i))
}

/// Finds a state by the two-letter code that some cards carry against the standard (`SI<`, Slovenia).
#[must_use]
pub fn find_alpha2(code: &str) -> Option<&'static Country> {
    let code = code.trim_end_matches('<');
    ALL.iter().find(|c| c.kind == Kind::Iso && c.alpha2.as_deref() == Some(code))
}

#[cfg(test)]
mod tests {
    use super::{Kind, all, find, find_alpha2};

    #[test]
    fn the_special_codes_of_the_standard_are_known() {
        for code in [
            "D", "GBD", "GBN", "GBO", "GBP", "GBS", "UNO", "UNA", "UNK", "XXA", "XXB", "XXC", "XXX", "XOM",
            "XPO", "EUE", "RKS", "UTO",
        ] {
            assert!(find(code).is_some(), "{code}");
        }
        assert_eq!(find("D<<").map(|c| c.alpha3()), Some("DEU"));
        assert_eq!(find("UTO").map(|c| c.kind), Some(Kind::Specimen));
        assert_eq!(find_alpha2("SI<").map(|c| c.alpha3()), Some("SVN"));
        assert!(find("ASU").is_none());
        assert!(all().len() > 280);
    }
}
