//! The printed labels of fields, in many languages (`data/labels.toml`), and where they stand on a line.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use crate::fold::{edit_distance, fold, slips_allowed};

/// A label found on a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// Field name of the record, or `_…` for a label that carries none.
    pub(crate) field: &'static str,
    /// The glyphs it covers.
    pub(crate) glyphs: Range<usize>,
}

struct Table {
    /// Folded phrase to field.
    phrases: HashMap<String, &'static str>,
    /// Long phrases without their spaces, which recognisers drop.
    squeezed: HashMap<String, &'static str>,
    /// Long phrases by word count, for fuzzy look-up.
    by_words: HashMap<usize, Vec<(String, &'static str)>>,
    most_words: usize,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let raw: HashMap<String, Vec<String>> = toml::from_str(include_str!("../data/labels.toml"))
            .expect("the table is part of the crate and tested");
        let mut phrases = HashMap::new();
        let mut squeezed = HashMap::new();
        let mut by_words: HashMap<usize, Vec<(String, &'static str)>> = HashMap::new();
        let mut most_words = 1;
        let mut fields: Vec<_> = raw.into_iter().collect();
        fields.sort();
        for (field, texts) in fields {
            let field: &'static str = Box::leak(field.into_boxed_str());
            for text in texts {
                let phrase = fold(&text);
                let words = phrase.split(' ').count();
                most_words = most_words.max(words);
                if slips_allowed(phrase.len()) > 0 {
                    squeezed.entry(phrase.replace(' ', "")).or_insert(field);
                    by_words.entry(words).or_default().push((phrase.clone(), field));
                }
                phrases.entry(phrase).or_insert(field);
            }
        }
        Table { phrases, squeezed, by_words, most_words }
    })
}

/// A word of a line: folded text, the glyphs it covers.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) glyphs: Range<usize>,
}

/// Words of a line: runs of letters and digits.
pub(crate) fn words(chars: &[char]) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    let mut start = None;
    let is_word = |i: usize, c: char| {
        c.is_alphanumeric()
            || (matches!(c, '\'' | '’' | '`' | '´')
                && i > 0
                && chars.get(i - 1).is_some_and(|c| c.is_alphanumeric()))
            || unicode_normalization::char::is_combining_mark(c)
    };
    for i in 0..=chars.len() {
        let inside = chars.get(i).is_some_and(|&c| is_word(i, c));
        match (inside, start) {
            (true, None) => start = Some(i),
            (false, Some(from)) => {
                let raw: String = chars[from..i].iter().collect();
                // "Document No" is often read without its space: a change from lower to upper case parts words.
                let text = fold(&raw);
                if !text.is_empty() {
                    out.push(Word { text, glyphs: from..i });
                }
                start = None;
            }
            _ => {}
        }
    }
    split_at_case(&mut out, chars);
    out
}

/// Parts words where a lower-case letter meets an upper-case one: recognisers drop thin spaces.
fn split_at_case(words: &mut Vec<Word>, chars: &[char]) {
    let mut i = 0;
    while i < words.len() {
        let range = words[i].glyphs.clone();
        let cut =
            (range.start + 1..range.end).find(|&k| chars[k].is_uppercase() && chars[k - 1].is_lowercase());
        if let Some(cut) = cut {
            let text = |r: Range<usize>| fold(&chars[r].iter().collect::<String>());
            let (left, right) = (text(range.start..cut), text(cut..range.end));
            words[i] = Word { text: left, glyphs: range.start..cut };
            words.insert(i + 1, Word { text: right, glyphs: cut..range.end });
        }
        i += 1;
    }
}

/// The labels on a line, left to right, longest phrase first, without overlap.
pub(crate) fn find(chars: &[char]) -> Vec<Found> {
    let table = table();
    let words = words(chars);
    let mut found = Vec::new();
    let mut i = 0;
    while i < words.len() {
        let longest = table.most_words.min(words.len() - i);
        let hit = (1..=longest).rev().find_map(|n| {
            let phrase = words[i..i + n].iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
            lookup(table, &phrase, n).map(|field| (field, n))
        });
        if let Some((field, n)) = hit {
            found.push(Found { field, glyphs: words[i].glyphs.start..words[i + n - 1].glyphs.end });
            i += n;
        } else {
            i += 1;
        }
    }
    found
}

/// Whether a line is made of labels alone: beside them stand no letters, and no more digits than the number of a field
/// has.
pub(crate) fn only(chars: &[char]) -> bool {
    let found = find(chars);
    let inside = |i: usize| found.iter().any(|f| f.glyphs.contains(&i));
    let beside =
        |is: fn(&char) -> bool| chars.iter().enumerate().filter(|(i, c)| is(c) && !inside(*i)).count();
    !found.is_empty() && beside(|c| c.is_alphabetic()) == 0 && beside(|c| c.is_numeric()) <= 2
}

fn lookup(table: &Table, phrase: &str, words: usize) -> Option<&'static str> {
    if let Some(field) = table.phrases.get(phrase) {
        return Some(field);
    }
    let slips = slips_allowed(phrase.len());
    if slips == 0 {
        return None;
    }
    if let Some(field) = table.squeezed.get(&phrase.replace(' ', "")) {
        return Some(field);
    }
    let near = |words: usize| {
        table.by_words.get(&words)?.iter().find_map(|(label, field)| {
            edit_distance(phrase, label, slips.min(slips_allowed(label.len()))).map(|_| *field)
        })
    };
    // A lost space makes one word of two.
    near(words).or_else(|| near(words + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<&'static str> {
        find(&text.chars().collect::<Vec<_>>()).into_iter().map(|f| f.field).collect()
    }

    #[test]
    fn bilingual_labels_name_their_field_twice() {
        assert_eq!(fields("Nom / Surname (1)"), ["last_name", "last_name"]);
        assert_eq!(fields("Date de naissance / Date of birth (4)"), ["date_of_birth", "date_of_birth"]);
        assert_eq!(fields("Gültig bis / Expiry date"), ["expiration_date", "expiration_date"]);
        assert_eq!(fields("Passeport n°/Passport no"), ["document_number", "document_number"]);
    }

    #[test]
    fn slips_of_the_recogniser_and_lost_spaces_are_forgiven() {
        assert_eq!(fields("Natlonalité"), ["nationality"]);
        assert_eq!(fields("Dateofbirth"), ["date_of_birth"]);
        assert_eq!(fields("Date ofexpiry"), ["expiration_date"]);
    }

    #[test]
    fn a_line_of_labels_is_told_from_one_that_holds_a_value() {
        let is = |text: &str| only(&text.chars().collect::<Vec<_>>());
        assert!(is("Nom / Surname (1)") && is("Date de naissance / Date of birth (4)") && is("Dateofbirth"));
        for text in ["Sexe / Sex F", "Surname OKAFOR", "DOB: 08/31/1978", "Zenith", "185", ""] {
            assert!(!is(text), "{text}");
        }
    }

    #[test]
    fn values_are_no_labels() {
        for text in ["VAN DER BERG", "José", "21.08.1997", "NR7MZPCG1", "Zenith", "12 Harbour Street"] {
            assert!(fields(text).is_empty(), "{text}: {:?}", fields(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_searched_without_a_panic(text in "\\PC{0,80}") {
            let chars: Vec<char> = text.chars().collect();
            for found in find(&chars) {
                proptest::prop_assert!(found.glyphs.end <= chars.len());
            }
        }
    }
}
