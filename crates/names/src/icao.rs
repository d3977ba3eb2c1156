//! What a name may look like in the machine readable zone (ICAO Doc 9303-3 §6), and whether a printed name agrees with one.
//!
//! DESIGN. Folding accents is not what states do: Müller is `MUELLER` on one
//! passport, `MULLER` on another, `MUXXLLER` on a third, and all three are
//! right. So no form is *the* form. [`matches()`] walks the printed name and the
//! zone side by side and lets each letter take any of its forms
//! (`data/icao_transliteration.csv`), which needs no list of combinations;
//! [`admissible_forms`] writes the list out, bounded, for those who want to see it.
//! The zone cuts names off without a mark (9303-4 §4.2.3), so a printed name
//! longer than the zone agrees when the zone is a beginning of it.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

/// Most forms [`admissible_forms`] writes out.
pub const MAX_FORMS: usize = 64;
/// Longest printed name looked at, in characters.
const LONGEST: usize = 200;

static TABLE: LazyLock<HashMap<char, Vec<&'static str>>> = LazyLock::new(|| {
    include_str!("../data/icao_transliteration.csv")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| {
            let mut cells = l.splitn(3, ',').skip(1);
            let character = cells.next()?.chars().next()?;
            let forms = cells.next()?.split(' ').map(|f| if f == "-" { "" } else { f }).collect();
            Some((character, forms))
        })
        .collect()
});

/// How a printed name and the zone agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The zone is an admissible form of the printed name, whole or cut off.
    Match,
    /// It is one but for order, parts left out, or a letter or two.
    Partial,
    /// It is not.
    Mismatch,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Letter for letter, after transliteration.
    Equal,
    /// The zone ends before the printed name does, at its limit.
    Truncated,
    /// The same parts in another order, or surname and given names exchanged.
    Order,
    /// The zone lacks parts of the printed name (a second given name, a patronymic).
    PartsMissingInZone,
    /// The zone has parts that are not printed.
    PartsMissingInPrint,
    /// The zone has initials for given names.
    Initials,
    /// Few letters differ.
    FewLetters,
    /// Nothing of the above.
    Different,
}

/// Outcome and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Match, partial or mismatch.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

/// One letter of a printed name with the forms the zone may give it.
type Letter = Vec<String>;

/// A printed name cut into parts; each part is its letters.
fn parts(name: &str) -> Vec<Vec<Letter>> {
    let mut out: Vec<Vec<Letter>> = vec![Vec::new()];
    for c in name.nfc().take(LONGEST).flat_map(upper) {
        match c {
            // Hyphens and spaces part a name (9303-3 §4.6); commas, full stops and apostrophes vanish.
            '<' | '-' | '‐' | '‑' | '–' | '_' | '/' => out.push(Vec::new()),
            c if c.is_whitespace() => out.push(Vec::new()),
            _ => {
                let forms = forms(c);
                if let (Some(last), false) = (out.last_mut(), forms.is_empty()) {
                    last.push(forms);
                }
            }
        }
    }
    out.retain(|p| !p.is_empty());
    out
}

/// Upper case without taking `ß` apart, whose forms the table has.
fn upper(c: char) -> Vec<char> {
    if c == 'ß' || c == 'ı' { vec![c] } else { c.to_uppercase().collect() }
}

/// The forms of an upper-case character; empty for what the zone leaves out.
fn forms(c: char) -> Letter {
    if c.is_ascii_uppercase() {
        return vec![c.to_string()];
    }
    if let Some(forms) = TABLE.get(&c) {
        return forms.iter().map(|f| (*f).to_owned()).collect();
    }
    // Vietnamese and other stacked accents: the letter below them, by the table where it knows that one.
    let base = c.nfd().find(|d| !is_mark(*d)).unwrap_or(c);
    if base != c {
        return forms(base);
    }
    if c.is_alphabetic() {
        // Scripts the standard has no table for: the usual romanisation, one form.
        let latin: String = any_ascii::any_ascii_char(c).chars().filter(char::is_ascii_alphabetic).collect();
        if !latin.is_empty() {
            return vec![latin.to_ascii_uppercase()];
        }
    }
    Vec::new()
}

fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff)
}

/// The forms a printed name may take in the zone, parts joined by `<`; the recommended one first, at most [`MAX_FORMS`].
///
/// Every letter takes the same choice throughout (a state that writes `UE` for
/// the first Ü writes it for the second).
#[must_use]
pub fn admissible_forms(name: &str) -> Vec<String> {
    let parts = parts(name);
    // Distinct sets of forms, so that a choice is made once a kind of letter.
    let mut kinds: Vec<Letter> = Vec::new();
    for letter in parts.iter().flatten().filter(|l| l.len() > 1) {
        if !kinds.contains(letter) {
            kinds.push(letter.clone());
        }
    }
    let mut choices: Vec<Vec<usize>> = vec![Vec::new()];
    for kind in &kinds {
        choices = choices
            .into_iter()
            .flat_map(|c| {
                (0..kind.len()).map(move |i| {
                    let mut c = c.clone();
                    c.push(i);
                    c
                })
            })
            .take(MAX_FORMS)
            .collect();
    }
    let mut out: Vec<String> = Vec::new();
    for choice in choices {
        let form: Vec<String> = parts
            .iter()
            .map(|part| {
                part.iter()
                    .map(|letter| {
                        let at = kinds
                            .iter()
                            .position(|k| k == letter)
                            .and_then(|k| choice.get(k))
                            .copied()
                            .unwrap_or(0);
                        letter.get(at).map_or("", String::as_str)
                    })
                    .collect()
            })
            .collect();
        let form = form.join("<");
        if !form.is_empty() && !out.contains(&form) {
            out.push(form);
        }
    }
    out
}

/// Whether `zone` can be read as these letters: all of them, or (`Some(true)`) a beginning of them.
///
/// `None` when it cannot.
fn reads(letters: &[&Letter], zone: &str) -> Option<bool> {
    // Positions of the zone that some choice of forms for the letters so far reaches.
    let mut reached = vec![0usize];
    let mut cut = false;
    for (i, letter) in letters.iter().enumerate() {
        let mut next: Vec<usize> = Vec::new();
        for at in &reached {
            let rest = zone.get(*at..).unwrap_or_default();
            for form in letter.iter() {
                if rest.starts_with(form.as_str()) {
                    next.push(at + form.len());
                } else if form.starts_with(rest) {
                    // The zone ends inside or before this letter.
                    cut |= i > 0 && !zone.is_empty();
                }
            }
        }
        next.sort_unstable();
        next.dedup();
        reached = next;
    }
    if reached.contains(&zone.len()) { Some(false) } else { cut.then_some(true) }
}

fn same(part: &[Letter], zone: &str) -> bool {
    reads(&part.iter().collect::<Vec<_>>(), zone) == Some(false)
}

/// Compares a printed name (any script, any order inside it) with the two identifiers of the zone.
///
/// `mrz_primary` and `mrz_secondary` may hold fillers or spaces between parts.
/// Fillers at the end of the zone say that nothing was cut off; what cannot be
/// known from the identifiers alone is taken as possibly cut off when they have
/// 28 characters or more (the name field of TD1 has 30, of TD3 39).
#[must_use]
pub fn matches(viz_name: &str, mrz_primary: &str, mrz_secondary: &str) -> Comparison {
    let printed = parts(viz_name);
    let words = |t: &str| -> Vec<String> {
        t.split(|c: char| c == '<' || c.is_whitespace())
            .map(|w| w.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase())
            .filter(|w| !w.is_empty())
            .take(32)
            .collect()
    };
    let (primary, secondary) = (words(mrz_primary), words(mrz_secondary));
    let full = mrz_primary.trim_matches('<').len() + mrz_secondary.trim_matches('<').len() + 2 >= 28;
    let zone: Vec<&str> = primary.iter().chain(&secondary).map(String::as_str).collect();
    let answer = |outcome, reason| Comparison { outcome, reason };
    if printed.is_empty() || zone.is_empty() {
        return answer(Outcome::Mismatch, Reason::Different);
    }
    // As one run of letters, surname first or given names first: parts may be written together or apart.
    let letters: Vec<&Letter> = printed.iter().flatten().collect();
    let straight: String = zone.concat();
    let turned: String = secondary.iter().chain(&primary).map(String::as_str).collect();
    for (text, reason) in [(&straight, Reason::Equal), (&turned, Reason::Equal)] {
        match reads(&letters, text) {
            Some(false) => return answer(Outcome::Match, reason),
            Some(true) if full && text.len() >= 20 => return answer(Outcome::Match, Reason::Truncated),
            _ => {}
        }
    }
    // Part by part, in any order.
    let mut free: Vec<bool> = vec![true; printed.len()];
    let (mut unmatched, mut initials, mut cut, mut close) = (0, 0, 0, 0);
    for (i, word) in zone.iter().enumerate() {
        let last = i + 1 == zone.len();
        let find = |free: &[bool], test: &dyn Fn(&Vec<Letter>) -> bool| {
            printed.iter().enumerate().position(|(j, p)| free.get(j) == Some(&true) && test(p))
        };
        let begins = |p: &Vec<Letter>| reads(&p.iter().collect::<Vec<_>>(), word).is_some();
        let found = find(&free, &|p| same(p, word)).map(|j| (j, 0)).or_else(|| {
            if word.len() == 1 {
                find(&free, &begins).map(|j| (j, 1))
            } else if last && full {
                find(&free, &begins).map(|j| (j, 2))
            } else {
                find(&free, &|p| near(p, word)).map(|j| (j, 3))
            }
        });
        match found {
            Some((j, how)) => {
                if let Some(slot) = free.get_mut(j) {
                    *slot = false;
                }
                initials += usize::from(how == 1);
                cut += usize::from(how == 2);
                close += usize::from(how == 3);
            }
            None => unmatched += 1,
        }
    }
    let missing = free.iter().filter(|f| **f).count();
    let met = zone.len() - unmatched;
    match (unmatched, missing) {
        (0, 0) if initials + cut + close == 0 => answer(Outcome::Match, Reason::Order),
        (0, _) if cut > 0 && initials + close == 0 => answer(Outcome::Match, Reason::Truncated),
        (0, _) if full && initials + close == 0 => answer(Outcome::Match, Reason::Truncated),
        (0, _) if close > 0 && met > close => answer(Outcome::Partial, Reason::FewLetters),
        (0, 0) if close > 0 => answer(Outcome::Partial, Reason::FewLetters),
        (0, _) if initials > 0 && met > initials => answer(Outcome::Partial, Reason::Initials),
        (0, _) if met >= 2 && close == 0 && initials == 0 => {
            answer(Outcome::Partial, Reason::PartsMissingInZone)
        }
        (_, 0) if met >= 2 && met > unmatched && close == 0 => {
            answer(Outcome::Partial, Reason::PartsMissingInPrint)
        }
        _ => answer(Outcome::Mismatch, Reason::Different),
    }
}

/// One letter changed, lost or added, in words of five letters or more.
fn near(part: &[Letter], word: &str) -> bool {
    let plain: String = part.iter().filter_map(|l| l.first()).map(String::as_str).collect();
    if plain.len() < 5 || word.len() < 5 {
        return false;
    }
    let (a, b): (Vec<char>, Vec<char>) = (plain.chars().collect(), word.chars().collect());
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let start = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    start + end + 1 >= a.len().max(b.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Comparison, Outcome, Reason, admissible_forms, matches};

    fn outcome(viz: &str, primary: &str, secondary: &str) -> (Outcome, Reason) {
        let Comparison { outcome, reason } = matches(viz, primary, secondary);
        (outcome, reason)
    }

    #[test]
    fn every_form_the_standard_allows_is_admissible() {
        let forms = admissible_forms("Müller");
        assert_eq!(forms.first().map(String::as_str), Some("MUELLER"));
        for form in ["MUELLER", "MULLER", "MUXXLLER"] {
            assert!(forms.iter().any(|f| f == form), "{forms:?}");
            assert_eq!(outcome("Müller Anna", form, "ANNA"), (Outcome::Match, Reason::Equal), "{form}");
        }
        assert_eq!(admissible_forms("Åse Straße"), ["AASE<STRASSE", "ASE<STRASSE"]);
        assert!(admissible_forms("Núñez").contains(&"NUNXXEZ".to_owned()));
        assert_eq!(admissible_forms("D'Artagnan"), ["DARTAGNAN"]);
        assert_eq!(admissible_forms("Smith-Jones"), ["SMITH<JONES"]);
    }

    #[test]
    fn cyrillic_and_arabic_follow_the_tables() {
        assert_eq!(outcome("Щербаков Юрий", "SHCHERBAKOV", "IURII"), (Outcome::Match, Reason::Equal));
        assert_eq!(outcome("Дубровська Ганна", "DUBROVSKA", "HANNA"), (Outcome::Match, Reason::Equal));
        // Doc 9303-3 §6.C, the examples with the letters' own codes.
        assert_eq!(admissible_forms("محمد"), ["MXHMD"]);
        assert_eq!(admissible_forms("الرحيم"), ["ALRXHYM"]);
    }

    #[test]
    fn a_zone_that_was_cut_off_agrees() {
        let viz = "Nilavadhanananda Chayapa Dejthamrong Krasuang";
        assert_eq!(
            outcome(viz, "NILAVADHANANANDA", "CHAYAPA<DEJTHAMRONG<K"),
            (Outcome::Match, Reason::Truncated)
        );
        assert_eq!(
            outcome("Caçador de Araújo André Estêvão", "CACADOR<DE<ARAUJO", "ANDRE<ESTEV"),
            (Outcome::Match, Reason::Truncated)
        );
    }

    #[test]
    fn order_and_missing_parts_are_told_apart_from_another_name() {
        assert_eq!(outcome("Anna Maria Eriksson", "ERIKSSON", "ANNA MARIA").0, Outcome::Match);
        assert_eq!(outcome("Maria Anna Eriksson", "ERIKSSON", "ANNA<MARIA"), (Outcome::Match, Reason::Order));
        assert_eq!(
            outcome("Eriksson Anna Maria", "ERIKSSON", "ANNA"),
            (Outcome::Partial, Reason::PartsMissingInZone)
        );
        assert_eq!(
            outcome("Eriksson Anna", "ERIKSSON", "ANNA MARIA"),
            (Outcome::Partial, Reason::PartsMissingInPrint)
        );
        assert_eq!(
            outcome("Eriksson Anna Maria", "ERIKSSON", "ANNA M"),
            (Outcome::Partial, Reason::Initials)
        );
        assert_eq!(outcome("Erikson Anna", "ERIKSSON", "ANNA"), (Outcome::Partial, Reason::FewLetters));
        assert_eq!(outcome("Eriksson Anna", "BERG", "ANNA").0, Outcome::Mismatch);
        assert_eq!(outcome("Eriksson", "MUELLER", "ERIKA").0, Outcome::Mismatch);
        assert_eq!(outcome("", "A", "").0, Outcome::Mismatch);
    }

    #[test]
    fn particles_written_together_or_apart_agree() {
        assert_eq!(outcome("Van der Berg Jan", "VANDERBERG", "JAN").0, Outcome::Match);
        assert_eq!(outcome("VanderBerg Jan", "VAN<DER<BERG", "JAN").0, Outcome::Match);
    }

    proptest! {
        #[test]
        fn every_listed_form_matches_its_name(name in "[A-ZÀ-Þß-ÿŁŃŐŠŽ][a-zà-öø-ÿąćęłńóśźżşğ]{1,9}( [A-Z][a-zäöüéñ]{1,8}){0,2}") {
            for form in admissible_forms(&name) {
                let (first, rest) = form.split_once('<').unwrap_or((&form, ""));
                prop_assert_eq!(matches(&name, first, rest).outcome, Outcome::Match, "{} {}", name, form);
            }
        }

        #[test]
        fn nothing_panics(a in ".{0,60}", b in ".{0,40}", c in ".{0,40}") {
            let _ = matches(&a, &b, &c);
            prop_assert!(admissible_forms(&a).len() <= super::MAX_FORMS);
        }
    }
}
