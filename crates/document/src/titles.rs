//! What kind of document the words on its face name (`data/titles.toml`).

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::fold::fold;
use crate::template::{DocumentKind, holds};

fn table() -> &'static Vec<(String, DocumentKind)> {
    static TABLE: OnceLock<Vec<(String, DocumentKind)>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let raw: HashMap<DocumentKindKey, Vec<String>> = toml::from_str(include_str!("../data/titles.toml"))
            .expect("the table is part of the crate and tested");
        let mut phrases: Vec<(String, DocumentKind)> = raw
            .into_iter()
            .flat_map(|(kind, texts)| texts.into_iter().map(move |t| (fold(&t), kind.0)))
            .collect();
        // Longest first; the order of equals is fixed, so that the same page always names the same kind.
        phrases.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.0.cmp(&b.0)));
        phrases
    })
}

#[derive(PartialEq, Eq, serde::Deserialize)]
struct DocumentKindKey(DocumentKind);

impl std::hash::Hash for DocumentKindKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::mem::discriminant(&self.0).hash(state);
    }
}

/// The kind named by the longest title phrase on these folded lines. A short title must be a line of its own or
/// stand in a short line: "pass" inside a sentence names nothing.
pub(crate) fn kind(lines: &[String]) -> Option<DocumentKind> {
    table().iter().find_map(|(phrase, kind)| {
        let short = phrase.len() < 8;
        lines
            .iter()
            .filter(|line| !short || line.split(' ').count() <= 3)
            // A label that holds the word ("Passport no") is no title.
            .filter(|line| !is_number_label(line))
            .any(|line| if short { line.split(' ').any(|w| w == phrase) } else { holds(line, phrase, false) })
            .then_some(*kind)
    })
}

fn is_number_label(line: &str) -> bool {
    line.split(' ').any(is_number_word)
}

/// Whether a folded word says "number".
pub(crate) fn is_number_word(word: &str) -> bool {
    matches!(word, "NO" | "N" | "NR" | "NUMBER" | "NUMERO" | "NUMMER" | "BR" | "N0" | "CISLO" | "NUMER")
}

/// Every phrase, folded.
pub(crate) fn phrases() -> impl Iterator<Item = &'static str> {
    table().iter().map(|(phrase, _)| phrase.as_str())
}

/// Whether a folded line is made of titles alone, each of a length that no name happens to have.
pub(crate) fn only(line: &str) -> bool {
    let title = |word: &str| word.len() >= 7 && table().iter().any(|(phrase, _)| phrase == word);
    !line.is_empty() && (title(line) || line.split(' ').all(title))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(lines: &[&str]) -> Option<DocumentKind> {
        kind(&lines.iter().map(|l| fold(l)).collect::<Vec<_>>())
    }

    #[test]
    fn titles_in_many_languages_name_the_kind() {
        assert_eq!(named(&["PASSEPORT", "RÉPUBLIQUE DE GALATHÉE"]), Some(DocumentKind::Passport));
        assert_eq!(named(&["TRIOLATIQUE", "AUFENTHALTSTITEL"]), Some(DocumentKind::ResidencePermit));
        assert_eq!(
            named(&["PERSONALAUSWEIS", "IDENTITY CARD / CARTE D'IDENTITÉ"]),
            Some(DocumentKind::IdCard)
        );
        assert_eq!(named(&["DRIVING LICENCE"]), Some(DocumentKind::DriverLicense));
    }

    #[test]
    fn a_line_of_titles_alone_is_told_from_an_office() {
        assert!(only("PASSPORT") && only("PASSPORT PASSEPORT") && only("RESIDENCE PERMIT"));
        assert!(!only("PASSPORT OFFICE") && !only("VISA") && !only(""));
    }

    #[test]
    fn a_label_or_a_sentence_names_nothing() {
        assert_eq!(named(&["Passport No", "you shall not pass this door today"]), None);
        assert_eq!(named(&[]), None);
    }
}
