//! What plain text, read by some recogniser, may have been on the document.
//!
//! Costs are in nats and say how much rarer the confusion is than a right
//! reading. They come from the shapes of OCR-B (ISO 1073-2) and the confusions
//! recognisers are known for, not from a fit to any test set. Digits are never
//! exchanged for digits, nor letters for letters that look unlike: with one
//! check digit of ten values such a search would always find *some* reading.

use std::sync::LazyLock;

use crate::format::{Format, Kind};
use crate::solve::{ALPHABET, Costs, FILLER, NEVER, character, index};

/// Pairs in both directions.
const PAIRS: &[(char, char, f32)] = &[
    ('0', 'O', 1.5),
    ('1', 'I', 1.5),
    ('0', 'D', 2.0),
    ('0', 'Q', 2.0),
    ('2', 'Z', 2.0),
    ('5', 'S', 2.0),
    ('8', 'B', 2.0),
    ('1', 'L', 2.0),
    ('6', 'G', 2.0),
    ('4', 'A', 2.5),
    ('7', 'T', 2.5),
    ('M', 'N', 2.5),
    ('O', 'D', 3.0),
    ('O', 'Q', 3.0),
    ('D', 'Q', 3.0),
    ('I', 'L', 3.0),
    ('U', 'V', 3.0),
    ('C', '<', 2.5),
    ('K', '<', 2.5),
    ('X', '<', 3.5),
    ('E', '<', 3.5),
    ('S', '<', 3.5),
    ('L', '<', 3.5),
];
/// A digit must stand here and something without a likeness does: any digit, and the check digits decide.
const UNREADABLE_DIGIT: f32 = 5.0;
/// Any letter of a code of a state.
const OTHER_LETTER: f32 = 6.0;

static TABLE: LazyLock<[Costs; 37]> = LazyLock::new(|| {
    let mut table = [[NEVER; 37]; 37];
    let mut set = |a: u8, b: u8, cost: f32| {
        if let Some(slot) = table.get_mut(usize::from(a)).and_then(|r| r.get_mut(usize::from(b))) {
            *slot = cost;
        }
    };
    for i in 0..37 {
        set(i, i, 0.0);
    }
    for (a, b, cost) in PAIRS {
        let (a, b) = (index(*a).unwrap_or(FILLER), index(*b).unwrap_or(FILLER));
        set(a, b, *cost);
        set(b, a, *cost);
    }
    table
});

/// -ln P(third letter | first two) in names, from `data/name_triples.csv`.
static NAME_TRIPLES: LazyLock<Vec<f32>> = LazyLock::new(|| {
    include_str!("../data/name_triples.csv")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .flat_map(|l| l.split(','))
        .filter_map(|n| n.trim().parse::<f32>().ok())
        .map(|tenths| tenths / 10.0)
        .collect()
});

/// How unlike a name the five letters around the middle one are, in nats.
fn oddness(five: [u8; 5]) -> f32 {
    let triple = |a: u8, b: u8, c: u8| {
        if a == FILLER && b == FILLER && c == FILLER {
            return 0.5; // closing fillers; the counts know only single names
        }
        let place = |s: u8| usize::from(s.clamp(10, FILLER) - 10);
        NAME_TRIPLES.get((place(a) * 27 + place(b)) * 27 + place(c)).copied().unwrap_or(3.3)
    };
    let [a, b, c, d, e] = five;
    triple(a, b, c) + triple(b, c, d) + triple(c, d, e)
}

fn costs_of(seen: u8) -> Costs {
    TABLE.get(usize::from(seen)).copied().unwrap_or([NEVER; 37])
}

/// Whether two characters look alike.
pub(crate) fn alike(a: u8, b: u8) -> bool {
    costs_of(a).get(usize::from(b)).is_some_and(|c| *c <= 2.0)
}

/// Evidence for lines that have the lengths of the format; indices into the alphabet.
pub(crate) fn evidence(format: Format, lines: &[Vec<u8>]) -> Vec<Vec<Costs>> {
    let mut out: Vec<Vec<Costs>> = lines.iter().map(|l| l.iter().map(|s| costs_of(*s)).collect()).collect();
    for field in format.layout().fields {
        let (line, start, len) = field.span;
        let Some(text) = lines.get(line).and_then(|l| l.get(start..start + len)) else { continue };
        let Some(costs) = out.get_mut(line).and_then(|l| l.get_mut(start..start + len)) else { continue };
        match field.kind {
            Kind::CheckDigit | Kind::BirthDate | Kind::ExpiryDate | Kind::IssueMonth => {
                for (seen, cost) in text.iter().zip(costs) {
                    if *seen >= 10 {
                        cost.iter_mut().take(10).for_each(|c| *c = c.min(UNREADABLE_DIGIT));
                    }
                }
            }
            Kind::IssuingState | Kind::Nationality => {
                for cost in costs {
                    cost.iter_mut().skip(10).for_each(|c| *c = c.min(OTHER_LETTER));
                }
            }
            Kind::Names | Kind::Surname | Kind::GivenNames => names(format, lines, text, costs),
            Kind::DocumentNumber | Kind::Optional | Kind::Optional2 => numbers(text, costs),
            _ => {}
        }
    }
    out
}

/// Weight of the letters' likelihood: triples of letters overlap, so that their sum counts the same evidence more than once.
const NAME_WEIGHT: f32 = 0.6;
/// A word that is no known name part: of names 85 % are known, of names with one letter exchanged for
/// a like one 1.6 % (measured over the table), which makes ln(0.85 / 0.016) nats; short words say less.
const UNKNOWN_WORD: [f32; 5] = [0.0, 0.0, 0.5, 1.5, 4.0];
/// Most ways in which the digits of one word are tried as letters.
const WORD_WAYS: usize = 81;

/// Whether a word is a known name part (now and then a foreign word seems to be); `data/build_name_words.py` holds the recipe.
fn known_word(word: &[u8]) -> bool {
    static TABLE: &[u8] = include_bytes!("../data/name_words.bin");
    let hash = word.iter().fold(0xCBF2_9CE4_8422_2325_u64, |h, s| {
        let letter = ALPHABET.get(usize::from(*s)).copied().unwrap_or(b'<');
        (h ^ u64::from(letter)).wrapping_mul(0x100_0000_01B3)
    });
    let (low, step) = (hash & 0xFFFF_FFFF, (hash >> 32) | 1);
    (0..7u64).all(|i| {
        let bit = (low + i * step) % (8 * TABLE.len() as u64);
        TABLE.get((bit / 8) as usize).is_some_and(|b| b >> (bit % 8) & 1 == 1)
    })
}

fn word_cost(word: &[u8]) -> f32 {
    match UNKNOWN_WORD.get(word.len().min(UNKNOWN_WORD.len() - 1)) {
        Some(cost) if *cost > 0.0 && !known_word(word) => *cost,
        _ => 0.0,
    }
}

/// The bounds of the word that holds position `i`.
fn word_at(text: &[u8], i: usize) -> (usize, usize) {
    let start = text.iter().take(i).rposition(|s| *s == FILLER).map_or(0, |p| p + 1);
    let end = text.iter().skip(i).position(|s| *s == FILLER).map_or(text.len(), |p| i + p);
    (start, end)
}

/// How little the words around position `i` look like names, were `symbol` there. A word cut off by the field's end says nothing.
fn words_around(text: &[u8], i: usize, symbol: u8) -> f32 {
    let mut text = text.to_vec();
    if let Some(slot) = text.get_mut(i) {
        *slot = symbol;
    }
    let cost = |(start, end): (usize, usize)| {
        if end == text.len() { 0.0 } else { text.get(start..end).map_or(0.0, word_cost) }
    };
    if symbol != FILLER {
        return cost(word_at(&text, i));
    }
    let before = i.checked_sub(1).map_or(0.0, |p| cost(word_at(&text, p)));
    before + if i + 1 < text.len() { cost(word_at(&text, i + 1)) } else { 0.0 }
}

/// The letters a digit may have been, with their prices.
fn letters_of(seen: u8) -> impl Iterator<Item = (u8, f32)> {
    let table = costs_of(seen);
    (10..FILLER).filter_map(move |l| table.get(usize::from(l)).map(|p| (l, *p))).filter(|(_, p)| *p < NEVER)
}

/// The names with their digits turned into the letters that make the likeliest words.
fn likeliest(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    let mut i = 0;
    while i < text.len() {
        let (start, end) = word_at(text, i);
        i = end + 1;
        let Some(word) = text.get(start..end).filter(|w| w.iter().any(|s| *s < 10)) else { continue };
        let mut ways: Vec<(Vec<u8>, f32)> = vec![(Vec::new(), 0.0)];
        for seen in word {
            let options: Vec<(u8, f32)> = letters_of(*seen).collect();
            if *seen >= 10 || options.is_empty() {
                ways.iter_mut().for_each(|(w, _)| w.push(*seen));
                continue;
            }
            let mut next = Vec::with_capacity(ways.len() * options.len());
            for (way, price) in &ways {
                for (letter, extra) in &options {
                    let mut way = way.clone();
                    way.push(*letter);
                    next.push((way, price + extra));
                }
            }
            next.sort_by(|a, b| a.1.total_cmp(&b.1));
            next.truncate(WORD_WAYS);
            ways = next;
        }
        let total = |w: &(Vec<u8>, f32)| {
            let odd: f32 = w.0.windows(5).filter_map(|t| <[u8; 5]>::try_from(t).ok()).map(oddness).sum();
            w.1 + word_cost(&w.0) + NAME_WEIGHT * odd / 3.0
        };
        let best = ways.into_iter().min_by(|a, b| total(a).total_cmp(&total(b)));
        if let (Some((best, _)), Some(slot)) = (best, out.get_mut(start..end)) {
            slot.copy_from_slice(&best);
        }
    }
    out
}

/// Names: a letter stays what it is; a digit becomes the like letter that fits its neighbours and makes a known name best;
/// a lone letter inside the closing fillers was a filler.
fn names(format: Format, lines: &[Vec<u8>], text: &[u8], costs: &mut [Costs]) {
    let russian = format == Format::Td3
        && lines
            .first()
            .and_then(|l| l.get(..5))
            .is_some_and(|l| l.iter().map(|s| character(*s)).eq("PNRUS".chars()));
    // Where the composite digit covers the names, an alternative could be chosen, not only told.
    let covered = matches!(format, Format::FrenchId | Format::FrenchLicence);
    let lettered = likeliest(text);
    let around = |i: usize, middle: u8| -> [u8; 5] {
        let at = |i: Option<usize>| i.and_then(|i| lettered.get(i)).copied().unwrap_or(FILLER);
        [at(i.checked_sub(2)), at(i.checked_sub(1)), middle, at(Some(i + 1)), at(Some(i + 2))]
    };
    let unlike =
        |i: usize, symbol: u8| NAME_WEIGHT * oddness(around(i, symbol)) + words_around(&lettered, i, symbol);
    for (i, (seen, cost)) in text.iter().zip(costs).enumerate() {
        let table = costs_of(*seen);
        let mut set = |symbol: u8, price: f32| {
            if let Some(slot) = cost.get_mut(usize::from(symbol)) {
                *slot = price;
            }
        };
        if russian || *seen >= 10 {
            (0..37).for_each(|s| set(s, NEVER));
            set(*seen, 0.0);
            if russian {
                continue;
            }
            let before = text.get(i.saturating_sub(3)..i).unwrap_or_default();
            let after = text.get(i + 1..).unwrap_or_default();
            let stray = before.len() == 3
                && before.iter().all(|s| *s == FILLER)
                && after.iter().take(2).all(|s| *s == FILLER);
            if *seen != FILLER && stray {
                set(*seen, 6.0);
                set(FILLER, table.get(usize::from(FILLER)).copied().unwrap_or(NEVER).min(4.0));
                continue;
            }
            let lone = *seen == FILLER
                && before.last().is_none_or(|s| *s == FILLER)
                && after.first().is_none_or(|s| *s == FILLER);
            if covered || lone && i > 0 {
                continue;
            }
            // Told, never chosen: what a letter or filler could have been, where names make it likely.
            let own = unlike(i, *seen);
            let hole = *seen == FILLER && i == 0
                || (*seen == FILLER
                    && before.ends_with(&[FILLER, FILLER])
                    && after.first().is_some_and(|s| *s != FILLER));
            for (other, price) in
                (10..37u8).zip(table.iter().skip(10)).filter(|(o, p)| *o != *seen && **p <= 3.0)
            {
                let price = if hole { 1.0 } else { price + unlike(i, other) - own };
                set(other, price.max(0.3));
            }
            continue;
        }
        let mut letters: Vec<(u8, f32)> = letters_of(*seen).map(|(l, p)| (l, p + unlike(i, l))).collect();
        letters.sort_by(|a, b| a.1.total_cmp(&b.1));
        let Some((_, least)) = letters.first().copied() else { continue };
        let base = table.iter().skip(10).copied().fold(NEVER, f32::min);
        for (letter, total) in letters {
            set(letter, base + total - least);
        }
    }
}

/// Price of each change between letters and digits inside a number: they stand in runs.
const CLASS_CHANGE: f32 = 0.3;
/// Price of a filler with something after it: numbers seldom hold one.
const INNER_FILLER: f32 = 2.0;

/// Numbers: letters and digits stand in runs, fillers at the end.
fn numbers(text: &[u8], costs: &mut [Costs]) {
    for (i, (seen, cost)) in text.iter().zip(costs).enumerate() {
        let beside = [i.checked_sub(1).and_then(|i| text.get(i)), text.get(i + 1)];
        let inner = text.get(i + 1).is_some_and(|s| *s != FILLER);
        let oddness = |symbol: u8| {
            let changes = beside
                .iter()
                .flatten()
                .filter(|b| ***b != FILLER && symbol != FILLER && (***b < 10) != (symbol < 10))
                .count();
            changes as f32 * CLASS_CHANGE + if inner && symbol == FILLER { INNER_FILLER } else { 0.0 }
        };
        let own = oddness(*seen);
        for (other, price) in (0..37u8).zip(cost.iter_mut()) {
            if other != *seen {
                *price = (*price + oddness(other) - own).max(0.3);
            }
        }
    }
}
