//! The check-digit families that many numbers share. All take text already stripped of separators.

/// The values of decimal digits; `None` when any character is not one.
pub(crate) fn digits(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|c| c.to_digit(10)).collect()
}

/// The number a run of decimal digits writes, modulo `modulus`.
pub(crate) fn modulo(text: &str, modulus: u64) -> Option<u64> {
    text.chars().try_fold(0, |rest, c| Some((rest * 10 + u64::from(c.to_digit(10)?)) % modulus))
}

/// A short run of decimal digits as a number.
pub(crate) fn value(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Sum of digit × weight; the shorter of the two decides.
pub(crate) fn weighted(digits: &[u32], weights: &[i64]) -> i64 {
    digits.iter().zip(weights).map(|(digit, weight)| i64::from(*digit) * weight).sum()
}

/// Luhn sum in the base of `alphabet`'s length; 0 for a right number (ISO/IEC 7812-1 annex B).
pub(crate) fn luhn(text: &str, alphabet: &str) -> Option<u32> {
    let base = alphabet.len() as u32;
    let mut sum = 0;
    for (place, c) in text.chars().rev().enumerate() {
        let value = alphabet.find(c)? as u32;
        sum += if place % 2 == 0 { value } else { value * 2 / base + value * 2 % base };
    }
    Some(sum % base)
}

/// Whether a decimal number satisfies the Luhn check.
pub(crate) fn luhn_ok(text: &str) -> bool {
    luhn(text, "0123456789") == Some(0)
}

/// Verhoeff's dihedral check (1969); 0 for a right number.
pub(crate) fn verhoeff(text: &str) -> Option<u32> {
    // The dihedral group of order ten: rotations 0..5, reflections 5..10.
    let product = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    const STEP: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    text.chars().rev().enumerate().try_fold(0, |check, (place, c)| {
        let mut digit = c.to_digit(10)?;
        for _ in 0..place % 8 {
            digit = *STEP.get(digit as usize)?;
        }
        Some(product(check, digit))
    })
}

/// ISO 7064 hybrid system MOD m+1,m over `alphabet` (m = its length); 1 for a right string.
pub(crate) fn hybrid(text: &str, alphabet: &str) -> Option<u32> {
    let m = alphabet.len() as u32;
    let check = text.chars().try_fold(m / 2, |check, c| {
        let value = alphabet.find(c)? as u32;
        let check = if check == 0 { m } else { check };
        Some((check * 2 % (m + 1) + value) % m)
    })?;
    Some(check)
}

/// Whether a decimal string satisfies ISO 7064 MOD 11,10.
pub(crate) fn mod_11_10(text: &str) -> bool {
    hybrid(text, "0123456789") == Some(1)
}

/// ISO 7064 pure system with radix `radix` over `alphabet`; 1 for a right string.
pub(crate) fn pure(text: &str, radix: u32, modulus: u32, alphabet: &str) -> Option<u32> {
    text.chars().try_fold(0, |check, c| Some((check * radix + alphabet.find(c)? as u32) % modulus))
}

/// ISO 7064 MOD 97-10 with letters as two digits (A = 10); 1 for a right string.
pub(crate) fn mod_97_10(text: &str) -> Option<u32> {
    text.chars().try_fold(0, |rest, c| {
        let value = c.to_digit(36)?;
        Some((rest * if value > 9 { 100 } else { 10 } + value) % 97)
    })
}

/// Damm's quasigroup check (2004); 0 for a right number.
pub(crate) fn damm(text: &str) -> Option<u32> {
    const TABLE: [[u32; 10]; 10] = [
        [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
        [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
        [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
        [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
        [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
        [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
        [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
        [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
        [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
        [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
    ];
    text.chars().try_fold(0, |state, c| {
        TABLE.get(state as usize).and_then(|row| row.get(c.to_digit(10)? as usize)).copied()
    })
}
