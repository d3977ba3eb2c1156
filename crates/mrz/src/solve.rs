//! Finds the readings of a zone that its evidence makes likeliest under the rules of a format.
//!
//! DESIGN. Evidence is a cost (negative log-likelihood, in nats) for each of
//! the 37 characters at each position; a recogniser's scores and the known
//! confusions of plain text both come in this shape. A format is turned into a
//! row of *tokens* (a character, a month, a code of a state) with the readings
//! each may have and their costs. One dynamic programme runs over the row; its
//! state is the running sum of the open check digit and that of the composite
//! digit, both modulo 10, and it keeps the few cheapest ways into each state.
//! So the result is the cheapest reading that satisfies *all* check digits at
//! once, followed by the next cheapest: what the caller needs to know whether
//! the digits decide or whether the zone is ambiguous. A check digit may fail
//! at a price ([`FAIL`]), so that a zone with a wrong digit still has a reading.
//! Work is bounded: positions × 110 states × [`KEPT`] × options.

use crate::country;
use crate::format::{Format, Kind};

/// The characters of the zone in the order of all cost tables.
pub const ALPHABET: &[u8; 37] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<";
/// Index of the filler.
pub(crate) const FILLER: u8 = 36;
/// Price of a check digit that does not hold.
pub(crate) const FAIL: f32 = 9.0;
/// Price of a code of a state that no table knows.
const UNKNOWN_STATE: f32 = 4.0;
/// Ways kept into each state.
const KEPT: usize = 3;
/// A cost that excludes.
pub(crate) const NEVER: f32 = 1.0e6;

/// Cost of each character at one position.
pub type Costs = [f32; 37];

/// Index of a character in [`ALPHABET`].
pub(crate) fn index(character: char) -> Option<u8> {
    Some(match character {
        '0'..='9' => character as u8 - b'0',
        'A'..='Z' => character as u8 - b'A' + 10,
        '<' => FILLER,
        _ => return None,
    })
}

/// The character at an index (the filler for anything out of range).
pub(crate) fn character(index: u8) -> char {
    ALPHABET.get(usize::from(index)).map_or('<', |b| char::from(*b))
}

fn worth(index: u8) -> u32 {
    if index == FILLER { 0 } else { u32::from(index) }
}

/// One way to read a token.
#[derive(Debug, Clone)]
struct Choice {
    symbols: [u8; 3],
    cost: f32,
}

/// What the dynamic programme reads in one step.
#[derive(Debug, Clone)]
struct Token {
    line: usize,
    start: usize,
    len: usize,
    choices: Vec<Choice>,
}

/// A reading of a whole zone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Solution {
    pub(crate) cost: f32,
    /// Characters outside all check digits: line, position, the second choice and by how much it lost.
    pub(crate) loose: Vec<(usize, usize, u8, f32)>,
    /// Per line, per position, indices into [`ALPHABET`].
    pub(crate) lines: Vec<Vec<u8>>,
}

impl Solution {
    pub(crate) fn text(&self) -> Vec<String> {
        self.lines.iter().map(|l| l.iter().map(|i| character(*i)).collect()).collect()
    }
}

/// How a position takes part in the sums.
#[derive(Debug, Clone, Copy, Default)]
struct Role {
    own: Option<u32>,
    composite: Option<u32>,
    digit: Option<Digit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digit {
    Own { filler_if_empty: bool },
    Composite,
}

/// The cheapest readings, best first (at most [`KEPT`]); empty when the evidence has other lengths than the format.
///
/// `long` is the length of the part of a long document number (digit included)
/// that runs on into the optional field, 0 for none.
pub(crate) fn solve(format: Format, evidence: &[Vec<Costs>], long: usize) -> Vec<Solution> {
    let layout = format.layout();
    if evidence.len() != layout.lengths.len()
        || evidence.iter().zip(layout.lengths).any(|(e, n)| e.len() != *n)
    {
        return Vec::new();
    }
    let Some(roles) = roles(format, long) else { return Vec::new() };
    let Some(mut tokens) = tokens(format, evidence, long) else { return Vec::new() };
    // No digit couples these to the rest: each is read by itself.
    let mut loose = Vec::new();
    for token in &mut tokens {
        let covered = (token.start..token.start + token.len).any(|pos| {
            roles
                .get(token.line)
                .and_then(|r| r.get(pos))
                .is_some_and(|r| r.own.is_some() || r.composite.is_some() || r.digit.is_some())
        });
        if !covered {
            if let [first, second, ..] = token.choices.as_slice() {
                for (i, (a, b)) in first.symbols.iter().zip(second.symbols).take(token.len).enumerate() {
                    if *a != b {
                        loose.push((token.line, token.start + i, b, second.cost - first.cost));
                    }
                }
            }
            token.choices.truncate(1);
        }
    }

    // Entries of the current layer: [own sum 0..9, or 10 while only fillers were seen][composite sum] -> cheapest few.
    // Every step's choices live in `arena` as (parent, token, choice).
    const NONE: u32 = u32::MAX;
    let mut arena: Vec<(u32, u32, u32)> = Vec::new();
    let mut layer: Vec<Vec<(f32, u32)>> = vec![Vec::new(); 110];
    layer[100] = vec![(0.0, NONE)];
    for (number, token) in tokens.iter().enumerate() {
        // (cost, parent, choice) per target state; pushed into the arena once settled.
        let mut next: Vec<Vec<(f32, u32, u32)>> = vec![Vec::new(); 110];
        for (state, entries) in layer.iter().enumerate().filter(|(_, e)| !e.is_empty()) {
            for (option, choice) in token.choices.iter().enumerate() {
                let (target, failed) = step(&roles, token, choice, state);
                let price = choice.cost + failed as f32 * FAIL;
                let Some(target) = next.get_mut(target) else { continue };
                for (cost, node) in entries {
                    let entry = (cost + price, *node, option as u32);
                    let place = target.partition_point(|e| e.0 <= entry.0);
                    if place < KEPT {
                        target.insert(place, entry);
                        target.truncate(KEPT);
                    }
                }
            }
        }
        for (slot, entries) in layer.iter_mut().zip(next) {
            slot.clear();
            for (cost, parent, option) in entries {
                arena.push((parent, number as u32, option));
                slot.push((cost, arena.len() as u32 - 1));
            }
        }
    }
    let mut ends: Vec<(f32, u32)> = layer.into_iter().flatten().collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    ends.truncate(KEPT);
    ends.into_iter()
        .map(|(cost, mut node)| {
            let mut lines: Vec<Vec<u8>> = layout.lengths.iter().map(|n| vec![FILLER; *n]).collect();
            while let Some((parent, number, option)) = arena.get(node as usize).copied() {
                if let Some(token) = tokens.get(number as usize)
                    && let Some(choice) = token.choices.get(option as usize)
                {
                    for (offset, symbol) in choice.symbols.iter().take(token.len).enumerate() {
                        if let Some(slot) =
                            lines.get_mut(token.line).and_then(|l| l.get_mut(token.start + offset))
                        {
                            *slot = *symbol;
                        }
                    }
                }
                node = parent;
            }
            Solution { cost, loose: loose.clone(), lines }
        })
        .collect()
}

/// The natural logarithm of the weight of *all* readings that satisfy every check digit, each weighing `e^(-sharpness · cost)`.
///
/// The share of one reading in it is how probable that reading is, were `sharpness · cost` the true log-likelihoods;
/// `None` when no reading satisfies the digits. The sum runs over the same lattice as [`solve`].
pub(crate) fn log_weight(
    format: Format,
    evidence: &[Vec<Costs>],
    long: usize,
    sharpness: f64,
) -> Option<f64> {
    let layout = format.layout();
    if evidence.len() != layout.lengths.len()
        || evidence.iter().zip(layout.lengths).any(|(e, n)| e.len() != *n)
    {
        return None;
    }
    let roles = roles(format, long)?;
    let mut layer = [0.0f64; 110];
    layer[100] = 1.0;
    let mut log = 0.0f64;
    for token in tokens(format, evidence, long)? {
        let least = token.choices.iter().map(|c| c.cost).fold(f32::INFINITY, f32::min);
        log -= sharpness * f64::from(least);
        let mut next = [0.0f64; 110];
        for choice in &token.choices {
            let share = (-sharpness * f64::from(choice.cost - least)).exp();
            if share < 1e-9 {
                continue;
            }
            for (state, weight) in layer.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                let (target, failed) = step(&roles, &token, choice, state);
                if failed == 0
                    && let Some(slot) = next.get_mut(target)
                {
                    *slot += weight * share;
                }
            }
        }
        let total: f64 = next.iter().sum();
        if total <= 0.0 {
            return None;
        }
        log += total.ln();
        layer = next.map(|w| w / total);
    }
    Some(log)
}

/// Where a choice leads from a state of the sums, and how many check digits it fails.
fn step(roles: &[Vec<Role>], token: &Token, choice: &Choice, state: usize) -> (usize, u8) {
    let (mut own, mut composite, mut failed) = (state / 10, state as u32 % 10, 0);
    let roles = roles.get(token.line).and_then(|r| r.get(token.start..)).unwrap_or_default();
    for (symbol, role) in choice.symbols.iter().take(token.len).zip(roles) {
        if let Some(weight) = role.own
            && !(own == 10 && *symbol == FILLER)
        {
            own = ((own as u32 % 10 + weight * worth(*symbol)) % 10) as usize;
        }
        match role.digit {
            Some(Digit::Own { filler_if_empty }) => {
                let holds = if own == 10 {
                    *symbol == 0 || (filler_if_empty && *symbol == FILLER)
                } else {
                    usize::from(*symbol) == own
                };
                failed += u8::from(!holds);
                own = 10;
            }
            Some(Digit::Composite) if u32::from(*symbol) != composite => failed += 1,
            Some(Digit::Composite) | None => {}
        }
        if let Some(weight) = role.composite {
            composite = (composite + weight * worth(*symbol)) % 10;
        }
    }
    (own * 10 + composite as usize, failed)
}

fn roles(format: Format, long: usize) -> Option<Vec<Vec<Role>>> {
    let layout = format.layout();
    let mut roles: Vec<Vec<Role>> = layout.lengths.iter().map(|n| vec![Role::default(); *n]).collect();
    let weights = || [7u32, 3, 1].into_iter().cycle();
    for check in layout.checks {
        let mut covered: Vec<(usize, usize)> = check
            .over
            .iter()
            .flat_map(|(line, start, len)| (*start..start + len).map(move |at| (*line, at)))
            .collect();
        let mut at = check.at;
        if check.of == Some(Kind::DocumentNumber) && long > 0 {
            let field = layout.fields.iter().find(|f| f.kind == Kind::Optional)?;
            // The filler in the digit's place counts as a character.
            covered.push(check.at);
            covered.extend((0..long - 1).map(|i| (field.span.0, field.span.1 + i)));
            at = (field.span.0, field.span.1 + long - 1);
        }
        for ((line, pos), weight) in covered.into_iter().zip(weights()) {
            let role = roles.get_mut(line)?.get_mut(pos)?;
            match check.of {
                Some(_) => role.own = Some(weight),
                None => role.composite = Some(weight),
            }
        }
        roles.get_mut(at.0)?.get_mut(at.1)?.digit = Some(if check.of.is_some() {
            Digit::Own { filler_if_empty: check.filler_if_empty }
        } else {
            Digit::Composite
        });
    }
    Some(roles)
}

/// Months and days as the zone may give them, with the price of an unknown part.
fn calendar(last: u8) -> impl Iterator<Item = ([u8; 3], f32)> {
    (1..=last).map(|n| ([n / 10, n % 10, 0], 0.0)).chain([([FILLER, FILLER, 0], 2.5), ([0, 0, 0], 2.5)])
}

/// Document codes in use (Doc 9303-4 §4.2.2.3, 9303-5 §4.2.2.2, 9303-7, and the national ones seen); others cost a little.
const CODES: &[&str] = &[
    "P<", "PD", "PO", "PS", "PM", "PN", "PP", "PE", "PT", "PR", "PB", "PC", "PL", "PU", "I<", "ID", "IR",
    "IP", "IS", "IN", "IT", "A<", "AC", "AR", "C<", "CR", "C1", "C2", "CA", "CP", "V<", "VA", "VB", "VC",
    "VD", "VI", "VN", "VR", "VS", "VT", "FA", "D1", "DL", "D<",
];

fn tokens(format: Format, evidence: &[Vec<Costs>], long: usize) -> Option<Vec<Token>> {
    let layout = format.layout();
    let mut tokens = Vec::with_capacity(140);
    let cost = |line: usize, pos: usize, symbol: u8| -> f32 {
        evidence
            .get(line)
            .and_then(|l| l.get(pos))
            .and_then(|c| c.get(usize::from(symbol)))
            .copied()
            .unwrap_or(NEVER)
    };
    let mut optional_digits = 0;
    for field in layout.fields {
        let (line, start, len) = field.span;
        let total = |start: usize, symbols: [u8; 3], n: usize| -> f32 {
            symbols.iter().take(n).enumerate().map(|(i, s)| cost(line, start + i, *s)).sum()
        };
        let mut single = |pos: usize, allowed: &dyn Fn(u8) -> f32| {
            let choices = (0..37u8)
                .map(|s| Choice { symbols: [s, 0, 0], cost: cost(line, pos, s) + allowed(s) })
                .collect();
            tokens.push(Token { line, start: pos, len: 1, choices: pruned(choices, 8) });
        };
        let digit = |s: u8| if s < 10 { 0.0 } else { NEVER };
        match field.kind {
            Kind::CheckDigit => {
                let check = layout.checks.iter().find(|c| c.at == (line, start))?;
                let of_number = check.of == Some(Kind::DocumentNumber);
                single(start, &|s| match s {
                    0..=9 if of_number && long > 0 => NEVER,
                    0..=9 => 0.0,
                    FILLER if check.filler_if_empty || (of_number && long > 0) => 0.0,
                    _ => NEVER,
                });
            }
            Kind::BirthDate | Kind::ExpiryDate => {
                for pos in start..start + 2 {
                    single(pos, &|s| if s == FILLER { 2.5 } else { digit(s) });
                }
                for (offset, last) in [(2, 12), (4, 31)] {
                    let choices = calendar(last)
                        .map(|(symbols, extra)| Choice {
                            symbols,
                            cost: extra + total(start + offset, symbols, 2),
                        })
                        .collect();
                    tokens.push(Token { line, start: start + offset, len: 2, choices: pruned(choices, 12) });
                }
            }
            Kind::IssueMonth => {
                for pos in start..start + 2 {
                    single(pos, &digit);
                }
                let choices = calendar(12)
                    .take(12)
                    .map(|(symbols, extra)| Choice { symbols, cost: extra + total(start + 2, symbols, 2) })
                    .collect();
                tokens.push(Token { line, start: start + 2, len: 2, choices: pruned(choices, 12) });
            }
            Kind::IssuingState | Kind::Nationality => {
                let fixed = match format {
                    Format::FrenchId | Format::FrenchLicence if field.kind == Kind::IssuingState => {
                        Some("FRA")
                    }
                    Format::SwissLicence => Some("CHE"),
                    Format::SlovakId if field.kind == Kind::IssuingState => Some("SVK"),
                    _ => None,
                };
                let choices = states(fixed, &|symbols| total(start, symbols, 3));
                tokens.push(Token { line, start, len: 3, choices: pruned(choices, 8) });
            }
            Kind::Sex => single(start, &|s| match character(s) {
                'M' | 'F' | '<' => 0.0,
                'X' => 1.0,
                _ => NEVER,
            }),
            Kind::DocumentCode => {
                let choices = codes(format, &|symbols| total(start, symbols, 2));
                tokens.push(Token { line, start, len: 2, choices: pruned(choices, 8) });
            }
            Kind::Names | Kind::Surname | Kind::GivenNames => {
                for pos in start..start + len {
                    // A digit may not stand in a name; where nothing else is left the zone stays unreadable there.
                    single(pos, &|s| if s >= 10 { 0.0 } else { 20.0 });
                }
            }
            Kind::Constant => {
                for pos in start..start + len {
                    single(pos, &|s| if s == FILLER { 0.0 } else { NEVER });
                }
            }
            Kind::DocumentNumber if matches!(format, Format::SwissLicence) => {
                for pos in start..start + len {
                    single(pos, &digit);
                }
            }
            Kind::DocumentNumber => {
                for pos in start..start + len {
                    single(pos, &|s| if s == FILLER && pos == start { 2.0 } else { 0.0 });
                }
            }
            Kind::Optional => {
                for (i, pos) in (start..start + len).enumerate() {
                    let is_digit = long > 0 && i == long - 1;
                    let is_run = long > 0 && i < long - 1;
                    let is_end = long > 0 && i == long;
                    optional_digits += usize::from(is_digit);
                    single(pos, &|s| match s {
                        _ if is_digit => digit(s),
                        FILLER if is_run => NEVER,
                        FILLER => 0.0,
                        _ if is_end => NEVER,
                        _ => 0.0,
                    });
                }
            }
            Kind::Optional2 => {
                for pos in start..start + len {
                    single(pos, &|_| 0.0);
                }
            }
        }
    }
    (long == 0 || optional_digits == 1).then_some(tokens)
}

fn states(fixed: Option<&str>, cost: &dyn Fn([u8; 3]) -> f32) -> Vec<Choice> {
    let padded = |code: &str| {
        let mut symbols = [FILLER; 3];
        for (slot, c) in symbols.iter_mut().zip(code.chars()) {
            *slot = index(c).unwrap_or(FILLER);
        }
        symbols
    };
    let known = |code: &str, extra: f32| {
        let symbols = padded(code);
        Choice { symbols, cost: cost(symbols) + extra }
    };
    if let Some(code) = fixed {
        return vec![known(code, 0.0)];
    }
    let mut choices = Vec::with_capacity(560);
    for c in country::all() {
        choices.push(known(&c.code, if c.kind == country::Kind::LegacyOrSeen { 0.5 } else { 0.0 }));
        if let (country::Kind::Iso, Some(two)) = (c.kind, &c.alpha2) {
            choices.push(known(two, 3.0));
        }
    }
    // The cheapest code that no table knows: three letters as they stand.
    let mut free = [FILLER; 3];
    for i in 0..3 {
        let at = |s: u8| {
            let mut probe = free;
            if let Some(slot) = probe.get_mut(i) {
                *slot = s;
            }
            cost(probe)
        };
        let best = (10..36u8).min_by(|a, b| at(*a).total_cmp(&at(*b))).unwrap_or(FILLER);
        if let Some(slot) = free.get_mut(i) {
            *slot = best;
        }
    }
    choices.push(Choice { symbols: free, cost: cost(free) + UNKNOWN_STATE });
    // As it stands, whatever it is.
    let mut raw = [FILLER; 3];
    for i in 0..3 {
        let at = |s: u8| {
            let mut probe = raw;
            if let Some(slot) = probe.get_mut(i) {
                *slot = s;
            }
            cost(probe)
        };
        let best = (0..37u8).min_by(|a, b| at(*a).total_cmp(&at(*b))).unwrap_or(FILLER);
        if let Some(slot) = raw.get_mut(i) {
            *slot = best;
        }
    }
    if raw != free {
        choices.push(Choice { symbols: raw, cost: cost(raw) + UNKNOWN_STATE + 3.0 });
    }
    choices
}

fn codes(format: Format, cost: &dyn Fn([u8; 3]) -> f32) -> Vec<Choice> {
    let firsts: &[u8] = match format {
        Format::MrvA | Format::MrvB => b"V",
        Format::FrenchId => b"I",
        Format::FrenchLicence | Format::Licence => b"D",
        Format::SwissLicence => b"F",
        Format::Td3 => b"PIAC",
        Format::Td1 | Format::Td2 => b"IAC",
        Format::SlovakId => b"I",
    };
    let mut choices = Vec::new();
    for (rank, first) in firsts.iter().enumerate() {
        for second in ALPHABET {
            let code = [*first, *second];
            let text = std::str::from_utf8(&code).unwrap_or("");
            let fixed = match format {
                Format::FrenchId => Some("ID"),
                Format::FrenchLicence => Some("D1"),
                Format::SwissLicence => Some("FA"),
                _ => None,
            };
            if fixed.is_some_and(|f| f != text) {
                continue;
            }
            let known = CODES.contains(&text);
            let extra = match (known, second.is_ascii_digit()) {
                (true, _) => 0.0,
                (false, false) => 1.0,
                (false, true) => 4.0,
            };
            let unusual = if format == Format::Td3 && rank > 0 { 1.5 } else { 0.0 };
            let symbols =
                [index(char::from(*first)).unwrap_or(0), index(char::from(*second)).unwrap_or(0), 0];
            choices.push(Choice { symbols, cost: cost(symbols) + extra + unusual });
        }
    }
    choices
}

/// The cheapest choices, those out of reach dropped (but never all).
fn pruned(mut choices: Vec<Choice>, keep: usize) -> Vec<Choice> {
    choices.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let limit = choices.first().map_or(0.0, |c| c.cost) + 3.0 * FAIL;
    choices.truncate(keep);
    choices.retain(|c| c.cost <= limit);
    choices
}
