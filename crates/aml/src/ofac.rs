//! Scores two names as OFAC's own search tool does, for those who must answer "what would OFAC say".
//!
//! OFAC says (FAQ 249) that the tool compares the whole strings by Jaro-Winkler and,
//! separately, each word of the query with the words of the listed name by Jaro-Winkler
//! and Soundex, and shows the higher; it does not show anything below 50. How it does so
//! in detail is rebuilt from recorded queries, fitted to the size of the error over all
//! of them: five letters of a common start count; Soundex has a small part in the score
//! of a word; of the whole strings only commas are taken out, and these are compared
//! where they begin with the same letter. Within 5 points on the share of rows that
//! `cargo xtask bench aml` prints.

/// The tool's lowest score that is shown; below it this function gives 0.
pub const LOWEST: u32 = 50;

/// Part of Soundex in the score of two words.
const SOUNDEX: f64 = 0.08;
/// Least score of a word that counts.
const LEAST: f64 = 0.5;

/// 0..100, or 0 where the tool shows nothing.
#[must_use]
pub fn score(query: &str, listed: &str) -> u32 {
    let (whole_query, whole_listed) = (whole(query), whole(listed));
    let by_whole = if whole_query.chars().next() == whole_listed.chars().next() {
        jaro_winkler(&whole_query, &whole_listed)
    } else {
        0.0
    };
    let (query, listed) = (normal(query), normal(listed));
    let mut words: Vec<&str> = query.split(' ').filter(|w| w.len() > 2).collect();
    if words.is_empty() {
        words = query.split(' ').filter(|w| !w.is_empty()).collect();
    }
    let best = |word: &str| {
        let best = listed.split(' ').map(|w| of_words(word, w)).fold(0.0, f64::max);
        if best < LEAST { 0.0 } else { best }
    };
    let by_word =
        if words.is_empty() { 0.0 } else { words.iter().map(|w| best(w)).sum::<f64>() / words.len() as f64 };
    let score = (by_whole.max(by_word) * 100.0).round();
    // In 0..=100 by construction.
    let score = score.clamp(0.0, 100.0) as u32;
    if score < LOWEST { 0 } else { score }
}

fn of_words(a: &str, b: &str) -> f64 {
    let spelling = jaro_winkler(a, b);
    if spelling == 0.0 {
        return 0.0;
    }
    (1.0 - SOUNDEX) * spelling + SOUNDEX * jaro_winkler(&soundex(a), &soundex(b))
}

/// Soundex with six places: the first letter, then the classes of consonants.
fn soundex(word: &str) -> String {
    const PLACES: usize = 6;
    let class = |c: char| match c {
        'B' | 'F' | 'P' | 'V' => Some('1'),
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => Some('2'),
        'D' | 'T' => Some('3'),
        'L' => Some('4'),
        'M' | 'N' => Some('5'),
        'R' => Some('6'),
        _ => None,
    };
    let mut letters = word.chars().filter(char::is_ascii_uppercase);
    let Some(first) = letters.next() else { return String::new() };
    let mut code = String::from(first);
    let mut previous = class(first);
    for c in letters.filter(|c| !matches!(c, 'H' | 'W')) {
        let this = class(c);
        if let Some(digit) = this.filter(|_| this != previous && code.len() < PLACES) {
            code.push(digit);
        }
        previous = this;
    }
    while code.len() < PLACES {
        code.push('0');
    }
    code
}

/// Letters of a common start that count.
const START: usize = 5;

/// Jaro-Winkler: each letter of a common start brings a tenth of what is lacking, with no least similarity below
/// which the start does not count.
fn jaro_winkler(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let mut taken = vec![false; b.len()];
    let mut left = Vec::new();
    for (i, c) in a.iter().enumerate() {
        let range = i.saturating_sub(window)..(i + window + 1).min(b.len());
        if let Some(j) = range.into_iter().find(|&j| !taken[j] && b[j] == *c) {
            taken[j] = true;
            left.push(*c);
        }
    }
    if left.is_empty() {
        return 0.0;
    }
    let right = b.iter().zip(&taken).filter(|(_, t)| **t).map(|(c, _)| c);
    let swapped = left.iter().zip(right).filter(|(x, y)| x != y).count() as f64 / 2.0;
    let m = left.len() as f64;
    let jaro = (m / a.len() as f64 + m / b.len() as f64 + (m - swapped) / m) / 3.0;
    let start = a.iter().zip(&b).take(START).take_while(|(x, y)| x == y).count() as f64;
    jaro + start * 0.1 * (1.0 - jaro)
}

/// The string as the tool compares it whole: upper case, no commas, single spaces; at most 256 characters.
fn whole(text: &str) -> String {
    let folded: String = text.chars().filter(|c| *c != ',').take(256).flat_map(char::to_uppercase).collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Upper-case letters, digits and single spaces; at most 256 characters and 16 words.
fn normal(text: &str) -> String {
    let mut out = String::new();
    let folded: String = text
        .chars()
        .take(256)
        .flat_map(char::to_uppercase)
        .map(|c| if c == '-' || c.is_whitespace() { ' ' } else { c })
        .filter(|c| c.is_ascii_alphanumeric() || *c == ' ')
        .collect();
    for word in folded.split(' ').filter(|w| !w.is_empty()).take(16) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn recorded_scores_of_the_tool_are_met_within_five_points() {
        for (query, listed, want) in [
            ("VLADIMIR PUTIN", "PUTIN, Vladimir", 100),
            ("VLADIMIR PUTIN", "VLADIMIR BILIY", 90),
            ("PUTIN", "PUTINA, Maria", 97),
            ("GEORGE BUSH", "PUTIN, Vladimir", 0),
        ] {
            assert!(score(query, listed).abs_diff(want) <= 5, "{query} / {listed}: {}", score(query, listed));
        }
    }
}
