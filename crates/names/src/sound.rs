//! Reduces a romanised token to how it sounds and to its consonant skeleton.
//!
//! Both are for comparing spellings that different romanisations give the same
//! name: *Mukhammed / Muhammad*, *Tchaikovsky / Chaykovskiy*, *Qadhafi / Gaddafi*.
//! The sound form keeps vowels by class; the skeleton keeps consonants by coarse
//! class and is the only thing that can be compared with a script that writes no
//! vowels. Neither is ever empty for a non-empty token.

/// The sound form of a romanised lower-case ASCII token.
#[must_use]
pub fn sound(latin: &str) -> String {
    let b = latin.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(b.len());
    let at = |i: usize| b.get(i).copied().unwrap_or(0);
    let mut i = 0;
    while i < b.len() {
        let (c, n, n2, n3) = (at(i), at(i + 1), at(i + 2), at(i + 3));
        let (code, used): (&[u8], usize) = match (c, n, n2, n3) {
            (b't', b's', b'c', b'h') | (b's', b'h', b'c', b'h') => (b"C", 4),
            (b't', b's', b'h', _) | (b't', b'c', b'h', _) => (b"C", 3),
            (b's', b'c', b'h', _) => (b"S", 3),
            (b'd', b'z', b'h', _) => (b"J", 3),
            (b'c', b'h' | b'z', ..) => (b"C", 2),
            (b's', b'h' | b'z' | b'j', ..) => (b"S", 2),
            (b'z' | b'd', b'h', ..) if c == b'z' => (b"J", 2),
            (b'd', b'j', ..) => (b"J", 2),
            (b'k', b'h', ..) => (b"h", 2),
            (b'p', b'h', ..) => (b"f", 2),
            (b't' | b'g' | b'd' | b'b', b'h', ..) => (one(c), 2),
            (b'c', b'k' | b'q', ..) => (b"k", 2),
            (b'o', b'u' | b'o' | b'e' | b'w', ..) if n != b'w' || !is_vowel(n2) => (b"u", 2),
            (b'u', b'u' | b'e', ..) => (b"u", 2),
            (b'e' | b'i', b'e', ..) => (b"i", 2),
            (b'i', b'a' | b'o' | b'u', ..) if i == 0 => (b"y", 1),
            (b'i', b'i' | b'y', ..) => (b"i", 2),
            (b'a', b'i' | b'y' | b'e', ..) | (b'e', b'i' | b'y', ..) if n != b'y' || !is_vowel(n2) => {
                (b"e", 2)
            }
            (b'a', b'a', ..) => (b"a", 2),
            (b'e', b'o' | b'u', ..) => (b"u", 2),
            (b'c', b'e' | b'i' | b'y', ..) => (b"s", 1),
            (b'c' | b'q', ..) => (b"k", 1),
            (b'x', ..) => (b"ks", 1),
            (b'w', ..) => (b"v", 1),
            (b'z', ..) => (b"s", 1),
            (b'y', ..) if is_vowel(n) => (b"y", 1),
            (b'y', ..) => (b"i", 1),
            (b'j', ..) => (b"J", 1),
            (b'o', ..) => (b"u", 1),
            _ => (one(c), 1),
        };
        for &code in code {
            if out.last() != Some(&code) || code.is_ascii_digit() {
                out.push(code);
            }
        }
        i += used;
    }
    if out.len() > 2 && out.last() == Some(&b'h') {
        out.pop();
    }
    if out.is_empty() {
        latin.to_owned()
    } else {
        String::from_utf8(out).unwrap_or_else(|_| latin.to_owned())
    }
}

/// The consonant skeleton of a romanised lower-case ASCII token.
#[must_use]
pub fn skeleton(latin: &str) -> String {
    let b = latin.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(b.len());
    let at = |i: usize| b.get(i).copied().unwrap_or(0);
    let mut i = 0;
    let mut previous = 0u8;
    while i < b.len() {
        let (c, n, n2) = (at(i), at(i + 1), at(i + 2));
        let (code, used): (u8, usize) = match (c, n, n2) {
            (b's', b'c', b'h') => (b'x', 3),
            (b't', b'c' | b's', b'h') => (b'x', 3),
            (b'd', b'z', b'h') => (b'j', 3),
            // French and Spanish write ch where English writes sh.
            (b's' | b'c', b'h' | b'z', _) => (b'x', 2),
            (b'z', b'h', _) | (b'd', b'j', _) => (b'j', 2),
            (b'k', b'h', _) => (b'h', 2),
            (b'p', b'h', _) => (b'f', 2),
            (b't', b'h', _) => (b't', 2),
            (b'd', b'h', _) => (b'd', 2),
            (b'g', b'h', _) => (b'k', 2),
            (b'c', b'k', _) => (b'k', 2),
            (b'c', b'e' | b'i' | b'y', _) => (b's', 1),
            (b'i' | b'j', b'a' | b'e' | b'o' | b'u', _) if i == 0 && c == b'i' => (b'y', 1),
            (b'a' | b'e' | b'i' | b'o' | b'u', ..) => (0, 1),
            (b'y' | b'w', ..) if i > 0 => (0, 1),
            (b'b' | b'p', ..) => (b'b', 1),
            (b'd' | b'z', ..) => (b'd', 1),
            (b'g' | b'q' | b'k' | b'c', ..) => (b'k', 1),
            (b'f' | b'v', ..) => (b'f', 1),
            _ => (c, 1),
        };
        if code == 0 {
            if i == 0 {
                out.push(b'a');
            }
        } else if code != previous || code.is_ascii_digit() {
            out.push(code);
        }
        previous = code;
        i += used;
    }
    if out.len() > 2 && out.last() == Some(&b'h') {
        out.pop();
    }
    if out.is_empty() {
        latin.to_owned()
    } else {
        String::from_utf8(out).unwrap_or_else(|_| latin.to_owned())
    }
}

/// The consonant skeleton of a word whose script writes no short vowels, from the romanised form of each letter.
///
/// Letter by letter, because *s* before *h* is not *sh* there, and two equal letters have a vowel between them.
pub(crate) fn skeleton_of_letters<'a>(letters: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for (i, letter) in letters.enumerate() {
        let code = match letter {
            "" => continue,
            "w" | "y" if i > 0 => continue,
            "dh" => "d".to_owned(),
            other => skeleton(other),
        };
        // *Allah* is written with two letters where its Latin form is read as one.
        let again = code == "l" && out.ends_with('l');
        if (code != "a" || out.is_empty()) && !again {
            out.push_str(&code);
        }
    }
    if out.len() > 2 && out.ends_with('h') {
        out.pop();
    }
    out
}

fn is_vowel(c: u8) -> bool {
    matches!(c, b'a' | b'e' | b'i' | b'o' | b'u')
}

/// The letter as a slice of one, without allocating.
fn one(c: u8) -> &'static [u8] {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let position = match c {
        b'a'..=b'z' => usize::from(c - b'a'),
        b'0'..=b'9' => 26 + usize::from(c - b'0'),
        _ => return b"",
    };
    LETTERS.get(position..=position).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn romanisations_of_one_name_sound_alike() {
        assert_eq!(sound("mukhamed"), sound("muhamed"));
        assert_eq!(sound("youssouf"), sound("yusuf"));
        assert_eq!(sound("tchaikovsky"), sound("chaikovsky"));
    }

    #[test]
    fn skeletons_drop_vowels_but_never_everything() {
        assert_eq!(skeleton("muhammad"), "mhmd");
        assert_eq!(skeleton("gaddafi"), skeleton("qadhafi"));
        assert_eq!(skeleton("aia"), "a");
        assert_eq!(skeleton("y"), "y");
    }
}
