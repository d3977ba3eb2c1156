//! The 7-3-1 check digit of ICAO Doc 9303-3 §4.9.

/// The value of a character: 0–9 for digits, 10–35 for letters, 0 for the filler.
///
/// `None` for anything that may not stand in an MRZ.
#[must_use]
pub fn value(character: char) -> Option<u32> {
    match character {
        '<' => Some(0),
        '0'..='9' => Some(u32::from(character) - u32::from('0')),
        'A'..='Z' => Some(u32::from(character) - u32::from('A') + 10),
        _ => None,
    }
}

/// The check digit of a text, as a character. Foreign characters count as fillers.
#[must_use]
pub fn of(text: impl IntoIterator<Item = char>) -> char {
    let sum: u32 = text
        .into_iter()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(c, weight)| value(c).unwrap_or(0) * weight)
        .sum();
    char::from_digit(sum % 10, 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::of;

    /// Doc 9303-3 §4.9, examples 1 to 5.
    #[test]
    fn the_examples_of_the_standard_hold() {
        assert_eq!(of("520727".chars()), '3');
        assert_eq!(of("AB2134<<<".chars()), '5');
        // Doc 9303-5 appendix B: the TD1 specimen's document number and composite digit.
        assert_eq!(of("D23145890".chars()), '7');
        assert_eq!(of("D231458907<<<<<<<<<<<<<<<74081221204159<<<<<<<<<<<".chars()), '6');
    }
}
