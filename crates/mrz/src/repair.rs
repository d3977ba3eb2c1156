//! Finds what most likely stood on the document, given text that some recogniser read.
//!
//! DESIGN. The search is [`crate::solve`]: field classes, codes of states, the
//! calendar and all check digits at once over the confusions of
//! [`crate::confusion`]. Three promises bound it:
//!
//! * *Every change is told* ([`Correction`]), with the rule that forced it.
//! * *No name is invented.* A letter in a name is never exchanged for another
//!   letter. A digit, which cannot stand there, becomes the letter it looks
//!   like; where two letters would do (`0`: O, D, Q) neighbouring letters
//!   decide, and if they hardly do, the result says *ambiguous*.
//! * *Ambiguity is told.* [`Repair::confidence`] is the share of the reading in
//!   the weight of all readings that satisfy every rule, the sum running over the
//!   same lattice as the search. A changed zone is `ambiguous` below [`CLEAR`];
//!   readings at comparable cost ([`MARGIN`]) are among `alternatives`.
//!
//! What check digits cannot see, no search can find: 6 and G, 1 and L, K and
//! the filler have equal values modulo ten, and names, codes and the optional
//! data of visas are not covered at all. A zone that obeys every rule as read
//! is therefore returned as read, and is `ambiguous` only where its rivals are
//! much likelier together ([`RIVALLED`]; a name that is none but for one letter). Once something *was* wrong, the recogniser is
//! known to err here, and every such character counts as doubt: [`Repair::doubts`]
//! lists where, so that a caller with the picture looks again, and
//! [`Correction::certain`] says of each change whether it is touched by doubt.

use serde::Serialize;

use crate::confusion;
use crate::date::Today;
use crate::format::{Format, Kind};
use crate::parse::{Mrz, clean, parse_as};
use crate::solve::{Costs, FILLER, NEVER, Solution, character, index, log_weight, solve};

/// Two readings whose costs differ by less are comparable (in nats; the cheapest confusion costs 1.5).
pub const MARGIN: f32 = 2.05;
/// How sharply costs separate readings: the factor that makes costs log-likelihoods. Fitted by likelihood on random
/// halves of the mutated development zones (2.4 in 86 of 100), where it makes the mean confidence equal the rate of right readings.
const SHARPNESS: f64 = 2.4;
/// A changed zone is unambiguous from this confidence on. Of 100 random halves, the highest confidence of a wrong reading
/// in the one (its distance from certainty divided by 1.5, 0.967 to 0.979) let 5 wrong readings of 3,013 through in the other.
pub const CLEAR: f64 = 0.975;
/// A zone that obeys every rule as read is ambiguous below this confidence.
pub const RIVALLED: f64 = 0.3;
/// Longest line looked at.
const LONGEST: usize = 60;
/// Most fillers a line may have lost or gained.
const SLACK: usize = 4;

/// The rule that forced a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// This kind of character may not stand in this field.
    FieldClass,
    /// A check digit covers the character and would not hold.
    CheckDigit,
    /// No state has the code that was read.
    StateCode,
    /// No day has the date that was read.
    Date,
    /// A letter alone among closing fillers.
    Filler,
    /// The line had too few or too many characters.
    Length,
}

/// One changed character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Correction {
    /// Line, from 0.
    pub line: usize,
    /// Position in the repaired line, from 0 (in the line as read for a character taken out).
    pub pos: usize,
    /// What was read; empty for a character put in.
    pub from: String,
    /// What it became; empty for a character taken out.
    pub to: String,
    /// Why.
    pub why: Why,
    /// No other reading at comparable cost has another character here.
    pub certain: bool,
}

/// A character that a comparable reading has otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// Line, from 0.
    pub line: usize,
    /// Position, from 0.
    pub pos: usize,
    /// What it could as well be.
    pub or: char,
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repair {
    /// The lines after repair; as read when nothing fits.
    pub lines: Vec<String>,
    /// See [`Mrz::valid`].
    pub valid: bool,
    /// Every change.
    pub corrections: Vec<Correction>,
    /// Another reading that satisfies all rules may well be the right one; see [`CLEAR`].
    pub ambiguous: bool,
    /// How probable the reading is among all that satisfy the rules, 0 to 1; 0 when the reading does not satisfy them.
    pub confidence: f64,
    /// The format of the reading.
    pub format: Option<Format>,
    /// Other readings at comparable cost.
    pub alternatives: Vec<Vec<String>>,
    /// Where the readings at comparable cost differ; empty unless something was changed or is `ambiguous`.
    pub doubts: Vec<Doubt>,
}

impl Repair {
    /// The reading, parsed.
    #[must_use]
    pub fn parsed(&self, today: Today) -> Option<Mrz> {
        parse_as(self.format?, &self.lines, today).ok()
    }
}

/// A way to give the lines the lengths of a format.
#[derive(Debug, Clone)]
struct Aligned {
    cost: f32,
    text: Vec<u8>,
    changes: Vec<Correction>,
}

/// Repairs a zone given as text. Work is bounded whatever the input.
#[must_use]
pub fn repair<S: AsRef<str>>(lines: &[S], today: Today) -> Repair {
    let mut read: Vec<String> =
        lines.iter().take(4).map(|l| clean(l.as_ref())).filter(|l| !l.is_empty()).collect();
    // All lines run together.
    if let [single] = read.as_slice()
        && single.is_ascii()
        && let Some(parts) = match single.len() {
            88 => Some(2),
            72 => Some(2),
            90 => Some(3),
            _ => None,
        }
    {
        let n = single.len() / parts;
        read = (0..parts).map(|i| single.get(i * n..(i + 1) * n).unwrap_or_default().to_owned()).collect();
    }
    let unread = |read: Vec<String>| Repair {
        lines: read,
        valid: false,
        corrections: Vec::new(),
        ambiguous: false,
        confidence: 0.0,
        format: None,
        alternatives: Vec::new(),
        doubts: Vec::new(),
    };
    let symbols: Option<Vec<Vec<u8>>> = read
        .iter()
        .map(|l| {
            if l.len() > LONGEST {
                None
            } else {
                l.chars().map(|c| Some(index(c).unwrap_or(FILLER))).collect()
            }
        })
        .collect();
    let Some(symbols) = symbols.filter(|s| !s.is_empty() && s.len() <= 3) else { return unread(read) };

    struct Found {
        format: Format,
        cost: f32,
        solution: Solution,
        aligned: Vec<Aligned>,
        /// Which lattice (alignment and length of the number) it comes from.
        lattice: usize,
    }
    struct Lattice {
        cost: f32,
        format: Format,
        evidence: Vec<Vec<Costs>>,
        long: usize,
    }
    let mut lattices: Vec<Lattice> = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    for format in Format::ALL {
        let lengths = format.layout().lengths;
        if lengths.len() != symbols.len() {
            continue;
        }
        for aligned in alignments(format, &symbols) {
            let base: f32 = aligned.iter().map(|a| a.cost).sum();
            let texts: Vec<Vec<u8>> = aligned.iter().map(|a| a.text.clone()).collect();
            let evidence = confusion::evidence(format, &texts);
            for (long, extra) in long_numbers(format, &texts) {
                lattices.push(Lattice { cost: base + extra, format, evidence: evidence.clone(), long });
                for solution in solve(format, &evidence, long) {
                    if solution.cost < NEVER / 2.0 {
                        found.push(Found {
                            format,
                            cost: base + extra + solution.cost,
                            solution,
                            aligned: aligned.clone(),
                            lattice: lattices.len() - 1,
                        });
                    }
                }
            }
        }
    }
    found.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let Some(best) = found.first() else { return unread(read) };
    let text = best.solution.text();
    let parsed = parse_as(best.format, &text, today).ok();
    let valid = parsed.as_ref().is_some_and(Mrz::valid);
    // Lattices whose best reading weighs next to nothing are left out of the sum.
    let mut summed = vec![false; lattices.len()];
    let mut weight = 0.0f64;
    for f in found.iter().take_while(|f| SHARPNESS * f64::from(f.cost - best.cost) < 9.0) {
        if let (Some(summed), Some(lattice)) = (summed.get_mut(f.lattice), lattices.get(f.lattice))
            && !std::mem::replace(summed, true)
            && let Some(log) = log_weight(lattice.format, &lattice.evidence, lattice.long, SHARPNESS)
        {
            weight += (log + SHARPNESS * f64::from(best.cost - lattice.cost)).exp();
        }
    }
    // Four digits are more than the model is worth.
    let confidence = if valid && weight > 0.0 { (1e4 / weight).round().min(1e4) / 1e4 } else { 0.0 };
    let mut alternatives: Vec<Vec<String>> = Vec::new();
    for other in found.iter().skip(1) {
        let lines = other.solution.text();
        if other.cost - best.cost < MARGIN && lines != text && !alternatives.contains(&lines) {
            let fits = parse_as(other.format, &lines, today).is_ok_and(|m| m.valid());
            if fits || !valid {
                alternatives.push(lines);
            }
        }
    }
    let mut corrections: Vec<Correction> =
        best.aligned.iter().flat_map(|a| a.changes.iter().cloned()).collect();
    for (line, (aligned, repaired)) in best.aligned.iter().zip(&best.solution.lines).enumerate() {
        for (pos, (from, to)) in aligned.text.iter().zip(repaired).enumerate() {
            if from != to {
                let (from, to) = (character(*from), character(*to));
                corrections.push(Correction {
                    line,
                    pos,
                    from: from.into(),
                    to: to.into(),
                    why: why(best.format, line, pos, from),
                    certain: true,
                });
            }
        }
    }
    let changed = !corrections.is_empty();
    let ambiguous = match (valid, changed) {
        (true, true) => confidence < CLEAR,
        (true, false) => confidence < RIVALLED,
        (false, _) => changed && !alternatives.is_empty(),
    };
    let mut doubts: Vec<Doubt> = Vec::new();
    if changed || ambiguous {
        for other in &alternatives {
            for (line, (a, b)) in text.iter().zip(other).enumerate() {
                for (pos, (_, or)) in a.chars().zip(b.chars()).enumerate().filter(|(_, (a, b))| a != b) {
                    doubts.push(Doubt { line, pos, or });
                }
            }
        }
        for (line, pos, or, gap) in &best.solution.loose {
            if *gap < MARGIN {
                doubts.push(Doubt { line: *line, pos: *pos, or: character(*or) });
            }
        }
        doubts.sort_by_key(|d| (d.line, d.pos, d.or));
        doubts.dedup();
    }
    for correction in &mut corrections {
        correction.certain &= !doubts.iter().any(|d| (d.line, d.pos) == (correction.line, correction.pos));
    }
    Repair {
        doubts,
        format: Some(best.format),
        lines: text,
        valid,
        corrections,
        ambiguous,
        alternatives,
        confidence,
    }
}

/// Lengths of the part of the document number that may run on into the optional field, with their prices.
pub(crate) fn long_numbers(format: Format, texts: &[Vec<u8>]) -> Vec<(usize, f32)> {
    let layout = format.layout();
    let mut out = vec![(0, 0.0)];
    if !layout.long_number {
        return out;
    }
    let check = layout.checks.iter().find(|c| c.of == Some(Kind::DocumentNumber)).map(|c| c.at);
    let field = layout.fields.iter().find(|f| f.kind == Kind::Optional).map(|f| f.span);
    let (Some((line, pos)), Some((at, start, len))) = (check, field) else { return out };
    let is_filler = texts.get(line).and_then(|l| l.get(pos)) == Some(&FILLER);
    let Some(optional) = texts.get(at).and_then(|l| l.get(start..start + len)) else { return out };
    let run = optional.iter().take_while(|s| **s != FILLER).count();
    if is_filler && run > 0 {
        out = vec![(run, 0.0), (0, 2.0)];
    }
    out
}

pub(crate) fn why(format: Format, line: usize, pos: usize, from: char) -> Why {
    let layout = format.layout();
    let field = layout
        .fields
        .iter()
        .find(|f| f.span.0 == line && (f.span.1..f.span.1 + f.span.2).contains(&pos))
        .map_or(Kind::Optional, |f| f.kind);
    match field {
        Kind::IssuingState | Kind::Nationality => Why::StateCode,
        Kind::Names | Kind::Surname | Kind::GivenNames if !from.is_ascii_digit() => Why::Filler,
        Kind::Names | Kind::Surname | Kind::GivenNames | Kind::Sex | Kind::DocumentCode | Kind::Constant => {
            Why::FieldClass
        }
        Kind::BirthDate | Kind::ExpiryDate | Kind::IssueMonth | Kind::CheckDigit
            if !from.is_ascii_digit() =>
        {
            Why::FieldClass
        }
        Kind::BirthDate | Kind::ExpiryDate | Kind::IssueMonth => Why::Date,
        _ => Why::CheckDigit,
    }
}

/// All ways to give the lines the lengths of the format, the cheapest first, at most 48.
fn alignments(format: Format, lines: &[Vec<u8>]) -> Vec<Vec<Aligned>> {
    let mut ways: Vec<Vec<Aligned>> = vec![Vec::new()];
    for (number, (line, length)) in lines.iter().zip(format.layout().lengths).enumerate() {
        let options = align(number, line, *length);
        let mut next = Vec::new();
        for way in &ways {
            for option in &options {
                let mut way = way.clone();
                way.push(option.clone());
                next.push(way);
            }
        }
        let cost = |w: &Vec<Aligned>| w.iter().map(|a| a.cost).sum::<f32>();
        next.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        next.truncate(48);
        ways = next;
    }
    ways
}

fn align(number: usize, line: &[u8], length: usize) -> Vec<Aligned> {
    let n = line.len();
    if n == length {
        return vec![Aligned { cost: 0.0, text: line.to_vec(), changes: Vec::new() }];
    }
    let d = n.abs_diff(length);
    if d > SLACK {
        return Vec::new();
    }
    // Runs of fillers: (start, length).
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (i, s) in line.iter().enumerate() {
        match runs.last_mut() {
            Some((start, len)) if *s == FILLER && *start + *len == i => *len += 1,
            _ if *s == FILLER => runs.push((i, 1)),
            _ => {}
        }
    }
    let fillers: usize = runs.iter().map(|r| r.1).sum();
    let mut out = Vec::new();
    let filler = |pos: usize, put: bool| Correction {
        line: number,
        pos,
        from: if put { String::new() } else { "<".to_owned() },
        to: if put { "<".to_owned() } else { String::new() },
        why: Why::Length,
        certain: false,
    };
    for (start, len) in &runs {
        // The longer the run, the likelier its count went wrong.
        let cost = 1.5 * d as f32 + (fillers as f32 / *len as f32).ln();
        let inner = start + len < n && *start > 0;
        if n < length {
            let mut text = line.to_vec();
            text.splice(*start..*start, std::iter::repeat_n(FILLER, d));
            let odd = if inner && len + d > 2 { 2.0 } else { 0.0 };
            out.push(Aligned {
                cost: cost + odd,
                text,
                changes: (0..d).map(|i| filler(start + len + i, true)).collect(),
            });
        } else if *len >= d {
            let mut text = line.to_vec();
            text.drain(*start..start + d);
            out.push(Aligned {
                cost,
                text,
                changes: (0..d).map(|i| filler(start + len - d + i, false)).collect(),
            });
        }
    }
    if n > length {
        // Something read before the first or after the last character.
        for (range, cost) in [(0..d, 3.5), (length..n, 3.0)] {
            let mut text = line.to_vec();
            let gone: Vec<u8> = text.drain(range.clone()).collect();
            if gone.iter().all(|s| *s == FILLER) && range.start > 0 {
                continue;
            }
            let changes = range
                .zip(gone)
                .map(|(pos, s)| Correction {
                    line: number,
                    pos,
                    from: character(s).into(),
                    to: String::new(),
                    why: Why::Length,
                    certain: false,
                })
                .collect();
            out.push(Aligned { cost: cost * d as f32, text, changes });
        }
    } else if line.last() != Some(&FILLER) {
        let mut text = line.to_vec();
        text.extend(std::iter::repeat_n(FILLER, d));
        out.push(Aligned {
            cost: 3.0 * d as f32,
            text,
            changes: (n..length).map(|i| filler(i, true)).collect(),
        });
    }
    out.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    out.truncate(8);
    out
}
