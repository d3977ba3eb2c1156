//! Folds text for comparison: compatibility forms, upper case, no diacritics, single spaces.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Letters and digits in upper case without diacritics; everything else becomes one space.
pub(crate) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            'ß' | 'ẞ' => out.push_str("SS"),
            'Ø' | 'ø' => out.push('O'),
            'Ł' | 'ł' => out.push('L'),
            'Đ' | 'đ' | 'Ð' | 'ð' => out.push('D'),
            'Æ' | 'æ' => out.push_str("AE"),
            'Œ' | 'œ' => out.push_str("OE"),
            'Þ' | 'þ' => out.push_str("TH"),
            'ı' => out.push('I'),
            'Ə' | 'ə' => out.push('A'),
            '\'' | '’' | '‘' | '`' | '´' => {}
            c if c.is_alphanumeric() => out.extend(c.to_uppercase()),
            _ if out.ends_with(' ') || out.is_empty() => {}
            _ => out.push(' '),
        }
    }
    if out.ends_with(' ') {
        out.pop();
    }
    out
}

/// The folded text without its spaces: numbers are compared so.
pub(crate) fn squeeze(text: &str) -> String {
    fold(text).replace(' ', "")
}

/// Edit distance (insert, delete, substitute), given up above `most`.
pub(crate) fn edit_distance(a: &str, b: &str, most: usize) -> Option<usize> {
    if a.is_ascii() && b.is_ascii() {
        return distance(a.as_bytes(), b.as_bytes(), most);
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    distance(&a, &b, most)
}

fn distance<T: PartialEq>(a: &[T], b: &[T], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    if most == 0 {
        return (a == b).then_some(0);
    }
    // Cells further from the diagonal than `most` cannot lead to a distance within it.
    let beyond = most + 1;
    let mut row: Vec<usize> = (0..=b.len()).map(|j| j.min(beyond)).collect();
    for (i, ca) in a.iter().enumerate() {
        let first = i.saturating_sub(most);
        let mut diagonal = row[first];
        row[first] = if first == 0 { i + 1 } else { beyond };
        let mut least = row[first];
        for (j, cb) in b.iter().enumerate().take(i + most + 1).skip(first) {
            let next = (diagonal + usize::from(ca != cb)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
            least = least.min(next);
        }
        if least > most {
            return None;
        }
    }
    row.last().copied().filter(|d| *d <= most)
}

/// Slips a label of this length may carry: one in six characters, none in the shortest.
pub(crate) fn slips_allowed(length: usize) -> usize {
    length / 6
}

/// A number with the characters that print alike made one: a misread is not a difference.
pub(crate) fn look_alike(number: &str) -> String {
    squeeze(number)
        .chars()
        .map(|c| match c {
            'O' | 'Q' | 'D' => '0',
            'I' | 'L' => '1',
            'Z' => '2',
            'S' => '5',
            'G' => '6',
            'B' => '8',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_removes_case_marks_and_punctuation() {
        assert_eq!(fold("  Prénoms / Given  names (2)"), "PRENOMS GIVEN NAMES 2");
        assert_eq!(fold("Łucja Søren Größe d'Ávila"), "LUCJA SOREN GROSSE DAVILA");
        assert_eq!(squeeze("AB-12 34"), "AB1234");
    }

    #[test]
    fn edit_distance_counts_and_gives_up() {
        assert_eq!(edit_distance("NATIONALITY", "NATIONALTY", 2), Some(1));
        assert_eq!(edit_distance("SEX", "NAME", 1), None);
        assert_eq!(edit_distance("", "", 0), Some(0));
        assert_eq!(edit_distance("PRÉNOM", "PRENOMS", 2), Some(2));
        assert_eq!(edit_distance("PRÉNOM", "PRENOMS", 1), None);
    }

    proptest::proptest! {
        #[test]
        fn a_distance_is_the_same_whatever_it_may_be_at_most(a in "[ABÉ]{0,9}", b in "[ABÉ]{0,9}", most in 0..9_usize) {
            let full = edit_distance(&a, &b, 20).expect("within the longer length");
            proptest::prop_assert_eq!(full, naive(&a, &b));
            proptest::prop_assert_eq!(edit_distance(&a, &b, most), (full <= most).then_some(full));
        }
    }

    /// By its definition.
    fn naive(a: &str, b: &str) -> usize {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = match (i, j) {
                    (0, n) | (n, 0) => n,
                    _ => (table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]))
                        .min(table[i - 1][j] + 1)
                        .min(table[i][j - 1] + 1),
                };
            }
        }
        table[a.len()][b.len()]
    }
}
