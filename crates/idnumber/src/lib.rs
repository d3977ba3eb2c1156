//! Checks national identity, tax and company numbers: form, check digits, embedded birth date and sex.
//!
//! A kind is named `<country>.<number>` (`es.dni`, `it.codicefiscale`). What a kind is called, how it is
//! written and, for the great families (weighted sums, Luhn, ISO 7064), how it is checked stand in
//! `data/kinds.toml`; numbers with rules of their own have a function in `rules/`. The check is a pure function:
//! no clock, no I/O. A valid number proves that somebody can count, not that it was issued.
//!
//! What is deliberately not done: registers that change (Chinese counties, Austrian tax offices, Dominican cédulas
//! issued with a wrong digit) are not embedded, so a number that only such a list excuses or refuses is judged by its
//! form and check digit alone. A birth date in the future is for the caller to refuse where the number itself writes
//! the century; where it does not, [`check_on`] picks the last one that is past.

mod algorithms;
mod date;
mod rules;
mod table;

pub use date::PartialDate;

use serde::Serialize;

/// The sex a number says its holder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Sex {
    /// Male.
    #[serde(rename = "M")]
    Male,
    /// Female.
    #[serde(rename = "F")]
    Female,
    /// Neither of the two, where the number can say so (the Mexican CURP).
    #[serde(rename = "X")]
    Other,
}

/// Why a number is not valid; the first reason found, in the order of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has too few or too many characters.
    #[error("wrong length")]
    Length,
    /// A character stands where none of its class may.
    #[error("wrong format")]
    Format,
    /// A part of it cannot be: an impossible date, an unassigned region, a reserved range.
    #[error("impossible part")]
    Component,
    /// Its check digits do not follow from the rest.
    #[error("wrong check digit")]
    Checksum,
}

/// What a number turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether form, parts and check digits are right.
    pub valid: bool,
    /// The number without separators and country prefix, letters in capitals, zero-padded where the kind is.
    pub normalized: String,
    /// The birth date the number holds; absent where the kind holds none or the number is not valid.
    pub birth_date: Option<PartialDate>,
    /// The sex the number holds; absent where the kind holds none or the number is not valid.
    pub sex: Option<Sex>,
    /// Why it is not valid; absent when it is.
    pub reason: Option<Reason>,
}

/// The kind named is none that this crate knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of number: {0}")]
pub struct UnknownKind(pub String);

/// One kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// `<country>.<number>`, such as `es.dni`.
    pub id: &'static str,
    /// ISO 3166-1 alpha-2 code of the issuing country; empty for numbers of no country.
    pub country: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// Whether people carry it (rather than companies).
    pub personal: bool,
}

/// Every kind that [`check`] knows, sorted by id.
pub fn kinds() -> impl Iterator<Item = Kind> {
    table::all().iter().map(|entry| Kind {
        id: &entry.id,
        country: &entry.country,
        name: &entry.name,
        personal: entry.personal,
    })
}

/// Checks a number as written: separators, case and a country prefix do not matter where the kind allows them.
///
/// Two-digit birth years without a century mark stay open (`PartialDate::year` is `None`); [`check_on`] closes them.
///
/// # Errors
/// [`UnknownKind`] when `kind` is not among [`kinds`].
pub fn check(kind: &str, number: &str) -> Result<Verdict, UnknownKind> {
    verdict(kind, number, None)
}

/// Like [`check`], knowing the day: an open century becomes the last that is not in the future.
///
/// # Errors
/// [`UnknownKind`] when `kind` is not among [`kinds`].
pub fn check_on(kind: &str, number: &str, today: PartialDate) -> Result<Verdict, UnknownKind> {
    verdict(kind, number, Some(today))
}

/// Numbers longer than this are refused unread: no kind has more than forty characters with separators.
const LONGEST: usize = 128;

fn verdict(kind: &str, number: &str, today: Option<PartialDate>) -> Result<Verdict, UnknownKind> {
    let entry = table::find(kind).ok_or_else(|| UnknownKind(kind.to_owned()))?;
    if number.len() > LONGEST {
        return Ok(Verdict {
            valid: false,
            normalized: String::new(),
            birth_date: None,
            sex: None,
            reason: Some(Reason::Length),
        });
    }
    let text = entry.compact(number);
    let outcome = rules::apply(entry, &text, today);
    Ok(match outcome {
        Ok(facts) => Verdict {
            valid: true,
            normalized: facts.normalized.unwrap_or(text),
            birth_date: facts.birth_date,
            sex: facts.sex,
            reason: None,
        },
        Err(reason) => {
            Verdict { valid: false, normalized: text, birth_date: None, sex: None, reason: Some(reason) }
        }
    })
}

#[cfg(test)]
mod tests;
