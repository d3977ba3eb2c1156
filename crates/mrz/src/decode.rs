//! Reads a zone from the scores of a line recogniser.
//!
//! DESIGN. The recogniser gives, for every line, the probability of each
//! character (and of CTC's blank) at each of its steps. A format fixes how many
//! characters a line has, so the best path *with exactly that many* is found
//! first (Viterbi over step × count × last character), which settles dropped
//! and doubled fillers; its segments then give a cost for each of the 37
//! characters at each position, and [`crate::solve`] finds the cheapest reading
//! under the rules of the format. What the rules changed against the
//! recogniser's own best path is reported, as is a rival at comparable cost.
//! A digit printed wrong on the document is seen clearly by the recogniser, so
//! its alternatives are dear and the zone stays invalid: reading is no licence
//! to mend the document.

use serde::Serialize;

use crate::date::Today;
use crate::format::Format;
use crate::parse::{Mrz, parse_as};
use crate::repair::{Correction, Doubt};
use crate::solve::{Costs, FILLER, NEVER, character, solve};

/// Probabilities at one step: class 0 is the blank, class `i + 1` is [`crate::ALPHABET`]`[i]`.
pub type Step = [f32; 38];

/// Readings whose costs differ by less are comparable, in nats: e³ ≈ 20 to 1.
pub const MARGIN: f32 = 3.0;
/// Beyond this gap (150 to 1) a character was seen clearly, and no check digit talks the reader out of it;
/// only the class of a field does.
const CLEAR: f32 = 5.0;
/// The same for characters that look alike in OCR-B (10,000 to 1).
const CLEAR_ALIKE: f32 = 9.2;
/// Added to what was seen clearly: more than all check digits together can offer.
const SEEN_CLEARLY: f32 = 100.0;
/// Most steps of a line that are looked at.
const STEPS: usize = 512;
/// The least probability told apart from zero.
const FLOOR: f32 = 1.0e-6;

/// A zone read from scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// Format.
    pub format: Format,
    /// Lines under the rules of the format.
    pub lines: Vec<String>,
    /// See [`Mrz::valid`].
    pub valid: bool,
    /// Characters the rules changed against the recogniser's best path.
    pub corrections: Vec<Correction>,
    /// Another reading satisfies every rule at comparable cost.
    pub ambiguous: bool,
    /// Where such readings differ.
    pub doubts: Vec<Doubt>,
    /// Cost of the rules, in nats: 0 when the recogniser's own reading obeys them.
    pub cost: f32,
    /// Probability of the least certain character along the recogniser's path, 0..1.
    pub least: f32,
    /// Mean over characters of their probability along the path, 0..1: below about 0.6 it is hardly OCR-B.
    pub mean: f32,
}

impl Reading {
    /// The reading, parsed.
    #[must_use]
    pub fn parsed(&self, today: Today) -> Option<Mrz> {
        parse_as(self.format, &self.lines, today).ok()
    }
}

/// A line's best path with a given count of characters.
struct Path {
    /// Sum of the log-probabilities of the path.
    score: f32,
    symbols: Vec<u8>,
    costs: Vec<Costs>,
    /// Probability of each character where it is strongest.
    sure: Vec<f32>,
}

/// The characters a line most likely shows, without any rule (greedy CTC).
#[must_use]
pub fn greedy(steps: &[Step]) -> String {
    let mut out = String::new();
    let mut last = 0;
    for step in steps.iter().take(STEPS) {
        let best = step.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
        if best != 0 && best != last {
            out.push(character(best as u8 - 1));
        }
        last = best;
    }
    out
}

/// Finds the likeliest zone; `lines` are in reading order, one to three.
///
/// `None` when no format has so many lines or a line has fewer steps than characters.
#[must_use]
pub fn decode<S: AsRef<[Step]>>(lines: &[S], today: Today) -> Option<Reading> {
    let formats: Vec<Format> =
        Format::ALL.into_iter().filter(|f| f.layout().lengths.len() == lines.len()).collect();
    decode_as(&formats, lines, today)
}

/// As [`decode`], but among the given formats only.
#[must_use]
pub fn decode_as<S: AsRef<[Step]>>(formats: &[Format], lines: &[S], today: Today) -> Option<Reading> {
    let logs: Vec<Vec<Step>> = lines
        .iter()
        .map(|l| {
            l.as_ref()
                .iter()
                .take(STEPS)
                .map(|s| s.map(|p| if p > FLOOR { p.min(1.0).ln() } else { FLOOR.ln() }))
                .collect()
        })
        .collect();
    let free: Vec<f32> =
        logs.iter().map(|l| l.iter().map(|s| s.iter().copied().fold(f32::MIN, f32::max)).sum()).collect();
    // Paths are shared by the formats that have lines of the same length.
    let mut paths: Vec<((usize, usize), Option<Path>)> = Vec::new();
    for format in formats {
        let lengths = format.layout().lengths;
        for (key, steps) in lengths.iter().enumerate().map(|(i, n)| (i, *n)).zip(&logs) {
            if lengths.len() == lines.len() && !paths.iter().any(|(k, _)| *k == key) {
                paths.push((key, path(steps, key.1)));
            }
        }
    }
    let mut best: Option<(f32, Reading)> = None;
    for format in formats {
        let lengths = format.layout().lengths;
        if lengths.len() != lines.len() {
            continue;
        }
        let own: Option<Vec<&Path>> = lengths
            .iter()
            .enumerate()
            .map(|(i, n)| paths.iter().find(|(k, _)| *k == (i, *n)).and_then(|(_, p)| p.as_ref()))
            .collect();
        let Some(own) = own else { continue };
        let misfit: f32 = own.iter().zip(&free).map(|(p, f)| (f - p.score).max(0.0)).sum();
        let Some((cost, reading)) = read(*format, &own, today) else { continue };
        let total = misfit + cost;
        if best.as_ref().is_none_or(|(b, _)| total < *b) {
            best = Some((total, reading));
        }
    }
    best.map(|(_, reading)| reading)
}

fn read(format: Format, paths: &[&Path], today: Today) -> Option<(f32, Reading)> {
    let evidence: Vec<Vec<Costs>> = paths.iter().map(|p| p.costs.clone()).collect();
    let mut found = Vec::new();
    for (long, extra) in long_numbers(format, paths) {
        for solution in solve(format, &evidence, long) {
            found.push((solution.cost + extra, solution));
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (cost, solution) = found.first()?;
    let lines = solution.text();
    let valid = *cost < NEVER / 2.0 && parse_as(format, &lines, today).is_ok_and(|m| m.valid());
    let mut corrections = Vec::new();
    let mut doubts: Vec<Doubt> = Vec::new();
    for (other_cost, other) in found.iter().skip(1) {
        let text = other.text();
        if other_cost - cost >= MARGIN
            || text == lines
            || (valid && !parse_as(format, &text, today).is_ok_and(|m| m.valid()))
        {
            continue;
        }
        for (line, (a, b)) in lines.iter().zip(&text).enumerate() {
            for (pos, (_, or)) in a.chars().zip(b.chars()).enumerate().filter(|(_, (a, b))| a != b) {
                doubts.push(Doubt { line, pos, or });
            }
        }
    }
    for (line, pos, or, gap) in &solution.loose {
        if *gap < 1.0 {
            doubts.push(Doubt { line: *line, pos: *pos, or: character(*or) });
        }
    }
    doubts.sort_by_key(|d| (d.line, d.pos, d.or));
    doubts.dedup();
    for (line, (path, symbols)) in paths.iter().zip(&solution.lines).enumerate() {
        for (pos, (from, to)) in path.symbols.iter().zip(symbols).enumerate().filter(|(_, (a, b))| a != b) {
            let certain = !doubts.iter().any(|d| (d.line, d.pos) == (line, pos));
            let (from, to) = (character(*from), character(*to));
            corrections.push(Correction {
                line,
                pos,
                from: from.into(),
                to: to.into(),
                why: crate::repair::why(format, line, pos, from),
                certain,
            });
        }
    }
    let sure: Vec<f32> = paths.iter().flat_map(|p| p.sure.iter().copied()).collect();
    let reading = Reading {
        format,
        lines,
        valid,
        ambiguous: !doubts.is_empty(),
        doubts,
        cost: *cost,
        least: sure.iter().copied().fold(1.0, f32::min),
        mean: sure.iter().sum::<f32>() / sure.len().max(1) as f32,
        corrections,
    };
    Some((*cost, reading))
}

fn long_numbers(format: Format, paths: &[&Path]) -> Vec<(usize, f32)> {
    let texts: Vec<Vec<u8>> = paths.iter().map(|p| p.symbols.clone()).collect();
    crate::repair::long_numbers(format, &texts)
}

/// Viterbi: the best CTC path that emits exactly `count` characters, and what else each character could be.
fn path(steps: &[Step], count: usize) -> Option<Path> {
    let n = steps.len();
    if n < count || count == 0 {
        return None;
    }
    // State: characters emitted so far and whether the step shows the last one (1 + its index) or blank (0).
    // To keep the table small only the best state per (count, symbol) lives; symbols are 38 with blank as 0,
    // where blank must remember nothing: after a blank the same character may come again.
    let width = 38;
    let rows = count + 1;
    let mut back: Vec<u8> = vec![u8::MAX; n * rows * width];
    let mut now = vec![f32::NEG_INFINITY; rows * width];
    for (t, step) in steps.iter().enumerate() {
        let mut next = vec![f32::NEG_INFINITY; rows * width];
        // A path needs at least the characters that the remaining steps cannot supply.
        let low = count.saturating_sub(n - t - 1);
        for k in 0..rows.min(t + 2) {
            if k < low {
                continue;
            }
            // Best and second best end symbols of the row before, for a new character.
            let (mut first, mut second) = ((f32::NEG_INFINITY, usize::MAX), (f32::NEG_INFINITY, usize::MAX));
            if let Some(row) = k.checked_sub(1).and_then(|k| now.get(k * width..(k + 1) * width)) {
                for (symbol, score) in row.iter().enumerate() {
                    if *score > first.0 {
                        second = first;
                        first = (*score, symbol);
                    } else if *score > second.0 {
                        second = (*score, symbol);
                    }
                }
            }
            if t == 0 && k == 1 {
                first = (0.0, 0);
            }
            let row: &[f32] = now.get(k * width..(k + 1) * width).unwrap_or(&[]);
            let (stay_best, stay_from) = row
                .iter()
                .enumerate()
                .fold((f32::NEG_INFINITY, 0), |b, (i, s)| if *s > b.0 { (*s, i) } else { b });
            for symbol in 0..width {
                let emit = step.get(symbol).copied().unwrap_or(FLOOR.ln());
                let (score, from) = if symbol == 0 {
                    // Blank: from anything with as many characters.
                    if t == 0 && k == 0 { (0.0, 0) } else { (stay_best, stay_from) }
                } else {
                    let stay = row.get(symbol).copied().unwrap_or(f32::NEG_INFINITY);
                    // A new character needs a different symbol (or the blank) before it.
                    let fresh = if first.1 == symbol { second } else { first };
                    if stay >= fresh.0 { (stay, symbol) } else { (fresh.0, fresh.1 + 64) }
                };
                if score > f32::NEG_INFINITY {
                    let place = k * width + symbol;
                    if let (Some(slot), Some(b)) =
                        (next.get_mut(place), back.get_mut(t * rows * width + place))
                    {
                        *slot = score + emit;
                        *b = from.min(254) as u8;
                    }
                }
            }
        }
        now = next;
    }
    let last = now.get(count * width..(count + 1) * width)?;
    let (score, mut symbol) =
        last.iter().enumerate().fold((f32::NEG_INFINITY, 0), |b, (i, s)| if *s > b.0 { (*s, i) } else { b });
    if score == f32::NEG_INFINITY {
        return None;
    }
    // Walk back: each character's first and last step.
    let mut spans: Vec<(u8, usize, usize)> = Vec::with_capacity(count);
    let mut k = count;
    let mut end: Option<usize> = None;
    for t in (0..n).rev() {
        let b = *back.get(t * rows * width + k * width + symbol)?;
        if b == u8::MAX {
            return None;
        }
        if symbol != 0 {
            let stop = *end.get_or_insert(t);
            if b >= 64 || (t == 0 && k == 1) {
                spans.push((symbol as u8 - 1, t, stop));
                end = None;
                k = k.checked_sub(1)?;
            }
        }
        symbol = usize::from(if b >= 64 { b - 64 } else { b });
    }
    spans.reverse();
    if spans.len() != count {
        return None;
    }
    let mut out = Path {
        score,
        symbols: Vec::with_capacity(count),
        costs: Vec::with_capacity(count),
        sure: Vec::with_capacity(count),
    };
    for (symbol, from, to) in spans {
        let strongest =
            steps.get(from..=to)?.iter().max_by(|a, b| at(a, symbol).total_cmp(&at(b, symbol)))?;
        let own = at(strongest, symbol);
        let mut costs = [0.0; 37];
        for (other, cost) in (0..37u8).zip(costs.iter_mut()) {
            if other == symbol {
                continue;
            }
            let gap = (own - at(strongest, other)).max(0.05);
            let limit = if crate::confusion::alike(symbol, other) { CLEAR_ALIKE } else { CLEAR };
            *cost = if gap > limit { gap + SEEN_CLEARLY } else { gap };
        }
        // A character forced in by the count, not seen: a filler as soon as anything else.
        if own < -4.0 {
            costs[usize::from(FILLER)] = costs[usize::from(FILLER)].min(1.0);
        }
        out.symbols.push(symbol);
        out.costs.push(costs);
        out.sure.push(own.exp());
    }
    Some(out)
}

fn at(step: &Step, symbol: u8) -> f32 {
    step.get(usize::from(symbol) + 1).copied().unwrap_or(FLOOR.ln())
}

#[cfg(test)]
mod tests {
    use super::{Step, decode, greedy};
    use crate::date::Today;
    use crate::solve::index;

    const TODAY: Today = Today::new(2026, 11, 23);

    /// Steps as a recogniser would give them: two steps a character with a blank between, some alternatives.
    fn steps(text: &str, doubtful: &[(usize, char, f32)]) -> Vec<Step> {
        let mut out = Vec::new();
        for (i, c) in text.chars().enumerate() {
            let mut step = [0.001 / 38.0; 38];
            let own = usize::from(index(c).expect("test text is MRZ")) + 1;
            step[own] = 0.99;
            for (_, other, p) in doubtful.iter().filter(|(at, _, _)| *at == i) {
                step[usize::from(index(*other).expect("test text is MRZ")) + 1] = *p;
                step[own] = 0.99 - p;
            }
            out.push(step);
            let mut blank = [0.001 / 38.0; 38];
            blank[0] = 0.99;
            out.push(blank);
        }
        out
    }

    const FIRST: &str = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<";
    const SECOND: &str = "L898902C36UTO7408122F1204159ZE184226B<<<<<10";

    #[test]
    fn clear_scores_are_read_as_they_stand() {
        let reading = decode(&[steps(FIRST, &[]), steps(SECOND, &[])], TODAY).expect("two lines");
        assert_eq!(reading.lines, [FIRST, SECOND]);
        assert!(reading.valid && !reading.ambiguous && reading.corrections.is_empty());
        assert_eq!(greedy(&steps(SECOND, &[])), SECOND);
    }

    #[test]
    fn check_digits_overrule_a_doubtful_character() {
        let wrong = SECOND.replacen("L898902C3", "L898902E3", 1);
        let reading =
            decode(&[steps(FIRST, &[]), steps(&wrong, &[(7, 'C', 0.2)])], TODAY).expect("two lines");
        assert_eq!(reading.lines[1], SECOND);
        assert!(reading.valid);
        assert_eq!(reading.corrections.len(), 1);
    }

    #[test]
    fn a_digit_printed_wrong_stays_wrong() {
        let wrong = SECOND.replacen("L898902C36", "L898902C37", 1);
        let reading = decode(&[steps(FIRST, &[]), steps(&wrong, &[])], TODAY).expect("two lines");
        assert_eq!(reading.lines[1], wrong);
        assert!(!reading.valid);
    }

    #[test]
    fn a_lost_filler_is_put_back_by_the_count() {
        let mut short = steps(FIRST, &[]);
        short.truncate(short.len() - 2);
        let mut blank = [0.0001; 38];
        blank[0] = 0.99;
        blank[37] = 0.005;
        short.extend([blank; 4]);
        let reading = decode(&[short, steps(SECOND, &[])], TODAY).expect("two lines");
        assert_eq!(reading.lines, [FIRST, SECOND]);
    }
}
