//! The printed labels of fields, in many languages (`data/labels.toml`), and where they stand on a line.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use crate::fold::{edit_distance, fold, slips_allowed};
use crate::titles;

/// Stands for the field where words name the kind of document.
const TITLE: &str = "_title";

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
        // "Residence permit" is a title, not the label "residence" with a value; of one word a title says too little.
        let titles = titles::phrases().filter(|phrase| phrase.contains(' ')).map(str::to_owned).collect();
        fields.push((TITLE.to_owned(), titles));
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
        if let Some((mut field, mut n)) = hit {
            // "Residence permit no" labels the number.
            if field == TITLE && words.get(i + n).is_some_and(|w| titles::is_number_word(&w.text)) {
                (field, n) = ("document_number", n + 1);
            }
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

/// The field of a label that these words are, with the slips that its length allows: the nearest one, and none where
/// two fields are equally near ("pace of birth" is nearer to a place than to a date).
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
        let labels = table.by_words.get(&words).into_iter().flatten();
        nearest(labels.filter_map(|(label, field)| {
            edit_distance(phrase, label, slips.min(slips_allowed(label.len()))).map(|d| (d as f32, *field))
        }))
    };
    // A lost space makes one word of two.
    near(words).or_else(|| near(words + 1))
}

/// The field at the least distance, unless another one is as near.
fn nearest(fields: impl Iterator<Item = (f32, &'static str)>) -> Option<&'static str> {
    let mut best: Option<(f32, &'static str, bool)> = None;
    for (distance, field) in fields {
        best = match best {
            Some((least, _, _)) if distance < least => Some((distance, field, false)),
            Some((least, other, tie)) if distance == least => Some((least, other, tie || other != field)),
            None => Some((distance, field, false)),
            kept => kept,
        };
    }
    best.filter(|(_, _, tie)| !tie).map(|(_, field, _)| field)
}

/// Letters from which a badly read part of a line can be told to be a label.
const LEAST_LETTERS: usize = 7;
/// Share of a label's letters that may be misread, added or lost for the line to be that label still.
const MISREAD: f32 = 0.3;

/// The field of the label that a badly read line is: one of its parts (labels in several languages stand between
/// strokes) is a long label with up to three letters in ten wrong. For lines whose letters are doubtful; a surely read
/// one is no label but what [`find`] says.
pub(crate) fn doubtful(chars: &[char]) -> Option<&'static str> {
    let text: String = chars.iter().collect();
    let parts = text.split(['/', '|', '(', ')', ':', '·']);
    let parts: Vec<Vec<char>> = parts
        .map(|part| fold(part).chars().filter(|c| c.is_alphabetic()).collect())
        .filter(|part: &Vec<char>| part.len() >= LEAST_LETTERS)
        .collect();
    nearest(table().squeezed.iter().filter_map(|(label, field)| {
        let length = label.chars().count();
        if length < LEAST_LETTERS {
            return None;
        }
        let most = (length as f32 * MISREAD) as usize;
        let distance = parts
            .iter()
            .filter(|part| part.len().abs_diff(length) <= most)
            .filter_map(|part| edit_distance(&part.iter().collect::<String>(), label, most))
            .min()?;
        Some((distance as f32 / length as f32, *field))
    }))
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

    #[test]
    fn the_nearest_label_is_taken_and_a_title_is_no_label_of_a_field() {
        assert_eq!(fields("Pace of birth"), ["place_of_birth"]);
        assert_eq!(fields("Dafe of birth"), ["date_of_birth"]);
        assert_eq!(fields("RESIDENCE PERMIT"), ["_title"]);
        assert_eq!(fields("Residence permit no"), ["document_number"]);
        assert_eq!(fields("Residence"), ["address"]);
    }

    #[test]
    fn a_badly_read_label_is_told_from_names_and_places() {
        let is = |text: &str| doubtful(&text.chars().collect::<Vec<_>>());
        assert_eq!(is("07 MÉSTO NABOZENT/ PLACT OF SURTH"), Some("place_of_birth"));
        assert_eq!(is("At desTite"), Some("permit_type"));
        assert_eq!(is("Anschrt"), Some("address"));
        assert_eq!(is("Drieljaratvo/Ratiorelly/Naticralte"), Some("nationality"));
        for value in
            ["KALKUTTA", "DORTMUND", "VAN DER BERG", "ALI HAMAD ABDULLAH AL-KAABI", "M. KMIB/UKR", "Zenith"]
        {
            assert_eq!(is(value), None, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_searched_without_a_panic(text in "\\PC{0,80}") {
            let chars: Vec<char> = text.chars().collect();
            let _ = doubtful(&chars);
            for found in find(&chars) {
                proptest::prop_assert!(found.glyphs.end <= chars.len());
            }
        }
    }
}
