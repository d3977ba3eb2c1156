//! Applies a kind's rule: the families of `data/kinds.toml` here, the odd ones in the module of their region.

mod africa_oceania;
mod americas;
mod asia;
mod europe_north;
mod europe_south;
mod global;

use crate::algorithms::{damm, digits, luhn_ok, mod_11_10, modulo, verhoeff, weighted};
use crate::date::PartialDate;
use crate::table::{Entry, Rule};
use crate::{Reason, Sex};

/// What a valid number holds.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) birth_date: Option<PartialDate>,
    pub(crate) sex: Option<Sex>,
    /// Set where the normal form is not the compacted text.
    pub(crate) normalized: Option<String>,
}

impl Facts {
    fn born(date: PartialDate, sex: Option<Sex>) -> Self {
        Self { birth_date: Some(date), sex, normalized: None }
    }
}

type Outcome = Result<Facts, Reason>;
type Function = fn(&str, Option<PartialDate>) -> Outcome;

/// Judges `text`, already compacted by the entry.
pub(crate) fn apply(entry: &Entry, text: &str, today: Option<PartialDate>) -> Outcome {
    let length = text.chars().count();
    if length == 0 || (!entry.lengths.is_empty() && !entry.lengths.contains(&length)) {
        return Err(Reason::Length);
    }
    if entry.first_not.chars().any(|c| text.starts_with(c)) {
        return Err(Reason::Format);
    }
    if entry.not_zero && text.bytes().all(|b| b == b'0') {
        return Err(Reason::Format);
    }
    match &entry.rule {
        Some(rule) => family(rule, text),
        None => match function(&entry.id) {
            Some(function) => function(text, today),
            None => Err(Reason::Format),
        },
    }
}

/// The function of a kind that belongs to no family.
pub(crate) fn function(id: &str) -> Option<Function> {
    europe_north::function(id)
        .or_else(|| europe_south::function(id))
        .or_else(|| americas::function(id))
        .or_else(|| asia::function(id))
        .or_else(|| africa_oceania::function(id))
        .or_else(|| global::function(id))
}

fn family(rule: &Rule, text: &str) -> Outcome {
    let good = match rule {
        Rule::Digits => {
            digits(text).ok_or(Reason::Format)?;
            true
        }
        Rule::Luhn => {
            digits(text).ok_or(Reason::Format)?;
            luhn_ok(text)
        }
        Rule::Verhoeff => verhoeff(text).ok_or(Reason::Format)? == 0,
        Rule::Damm => damm(text).ok_or(Reason::Format)? == 0,
        Rule::Mod1110 => {
            digits(text).ok_or(Reason::Format)?;
            mod_11_10(text)
        }
        Rule::Modulo { modulus, rest } => modulo(text, *modulus).ok_or(Reason::Format)? == *rest,
        Rule::Sum { weights, modulus, rest } => {
            let digits = digits(text).ok_or(Reason::Format)?;
            let weights = aligned(weights, digits.len())?;
            weighted(&digits, weights).rem_euclid(*modulus) == *rest
        }
        Rule::Weighted { weights, check, again } => {
            let (body, last) = split_last(text)?;
            let body = digits(body).ok_or(Reason::Format)?;
            if !last.is_ascii_digit() && !check.contains(last) {
                return Err(Reason::Format);
            }
            let wanted = pick(&body, weights, check)?;
            let wanted = match (wanted, again) {
                ('+', Some(again)) => pick(&body, &again.weights, &again.check)?,
                (wanted, _) => wanted,
            };
            wanted == last
        }
    };
    passes(good).map(|()| Facts::default())
}

fn pick(body: &[u32], weights: &[i64], check: &str) -> Result<char, Reason> {
    let sum = weighted(body, aligned(weights, body.len())?);
    let modulus = check.chars().count() as i64;
    check.chars().nth(sum.rem_euclid(modulus.max(1)) as usize).ok_or(Reason::Checksum)
}

/// The last `length` weights; too many digits are a wrong length.
fn aligned(weights: &[i64], length: usize) -> Result<&[i64], Reason> {
    weights.len().checked_sub(length).and_then(|from| weights.get(from..)).ok_or(Reason::Length)
}

fn split_last(text: &str) -> Result<(&str, char), Reason> {
    let last = text.chars().next_back().ok_or(Reason::Length)?;
    let body = text.get(..text.len() - last.len_utf8()).ok_or(Reason::Length)?;
    Ok((body, last))
}

/// `Ok` when the check digit is right.
fn passes(good: bool) -> Result<(), Reason> {
    if good { Ok(()) } else { Err(Reason::Checksum) }
}

/// `Ok` when a part is possible.
fn possible(good: bool) -> Result<(), Reason> {
    if good { Ok(()) } else { Err(Reason::Component) }
}

/// `Ok` when the form is right.
fn formed(good: bool) -> Result<(), Reason> {
    if good { Ok(()) } else { Err(Reason::Format) }
}

/// All decimal digits, or a wrong form.
fn all_digits(text: &str) -> Result<Vec<u32>, Reason> {
    digits(text).ok_or(Reason::Format)
}

/// A run of digits within the number, as a number.
fn part(text: &str, from: usize, to: usize) -> Result<u32, Reason> {
    text.get(from..to).and_then(crate::algorithms::value).ok_or(Reason::Format)
}

/// A piece of the number.
fn piece(text: &str, from: usize, to: usize) -> Result<&str, Reason> {
    text.get(from..to).ok_or(Reason::Format)
}

/// One digit of an already checked run.
fn at(digits: &[u32], place: usize) -> u32 {
    digits.get(place).copied().unwrap_or(0)
}

/// One character of an ASCII text.
fn char_at(text: &str, place: usize) -> Result<char, Reason> {
    text.as_bytes().get(place).filter(|b| b.is_ascii()).map(|b| char::from(*b)).ok_or(Reason::Format)
}

/// Whether the text follows a pattern, one letter a place: `9` a digit, `A` a letter, `*` either, else itself.
fn like(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(b, p)| match p {
            b'9' => b.is_ascii_digit(),
            b'A' => b.is_ascii_uppercase(),
            b'*' => b.is_ascii_digit() || b.is_ascii_uppercase(),
            other => b == other,
        })
}

/// Male for an odd digit, female for an even one.
fn odd_is_male(digit: u32) -> Option<Sex> {
    Some(if digit % 2 == 1 { Sex::Male } else { Sex::Female })
}

/// The sum of digits × weights over the leading digits, modulo `modulus`, never negative.
fn rest(digits: &[u32], weights: &[i64], modulus: i64) -> i64 {
    weighted(digits, weights).rem_euclid(modulus)
}

/// Reuses another kind's rule under this one's text.
fn as_kind(id: &str, text: &str, today: Option<PartialDate>) -> Outcome {
    let entry = crate::table::find(id).ok_or(Reason::Format)?;
    apply(entry, text, today)
}
