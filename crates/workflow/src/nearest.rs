//! Finds the known name that a misspelt one most likely means.

/// The known name that differs least, if it differs by little: at most one letter in three is changed, left out,
/// added or swapped with its neighbour.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Names of settings are short; a longer text is none of them.
    if name.is_empty() || name.len() > 100 {
        return None;
    }
    let name = name.to_lowercase();
    known
        .map(|candidate| (distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Damerau-Levenshtein distance, each place swapped at most once (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&last, j) + usize::from(x != y);
            let mut best = changed.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KNOWN: [&str; 4] = ["vendor_data", "callback", "callback_method", "language"];

    proptest! {
        #[test]
        fn one_wrong_letter_still_finds_the_name(which in 0..KNOWN.len(), place in 0..8_usize, letter in "[a-z]") {
            let mut name = KNOWN[which].to_owned();
            name.replace_range(place..=place, &letter);
            prop_assert_eq!(nearest(&name, KNOWN.into_iter()), Some(KNOWN[which]));
        }

        #[test]
        fn no_text_panics(name in ".{0,120}") {
            let _ = nearest(&name, KNOWN.into_iter());
        }
    }

    #[test]
    fn a_letter_too_few_or_two_swapped_find_it_and_another_word_finds_nothing() {
        assert_eq!(nearest("vendor_dat", KNOWN.into_iter()), Some("vendor_data"));
        assert_eq!(nearest("lagnuage", KNOWN.into_iter()), Some("language"));
        assert_eq!(nearest("sandbox_scenario", KNOWN.into_iter()), None);
    }
}
