//! Asia.

use super::*;
use crate::algorithms::{luhn, pure};
use crate::date::{civil, not_after, recent};

pub(super) fn function(id: &str) -> Option<Function> {
    Some(match id {
        "az.voen" => az_voen,
        "cn.ric" => cn_ric,
        "cn.uscc" => cn_uscc,
        "hk.hkid" => hk_hkid,
        "id.nik" => id_nik,
        "id.npwp" => id_npwp,
        "il.hp" => il_hp,
        "in_.aadhaar" => in_aadhaar,
        "in_.epic" => in_epic,
        "in_.gstin" => in_gstin,
        "in_.pan" => in_pan,
        "in_.vid" => in_vid,
        "jp.cn" => jp_cn,
        "kr.brn" => kr_brn,
        "kr.rrn" => kr_rrn,
        "kz.iin" => kz_iin,
        "my.nric" => my_nric,
        "pk.cnic" => pk_cnic,
        "sg.nric" => sg_nric,
        "sg.uen" => sg_uen,
        "th.moa" => th_moa,
        "th.tin" => th_tin,
        "tw.id" => tw_id,
        "tw.ubn" => tw_ubn,
        "vn.mst" => vn_mst,
        _ => return None,
    })
}

/// The last digit says who: 1 a company, 2 a person.
fn az_voen(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    possible(matches!(at(&digits, 9), 1 | 2))?;
    passes(rest(&digits, &[4, 1, 8, 6, 2, 7, 5, 3], 11) == i64::from(at(&digits, 8)))?;
    Ok(Facts::default())
}

/// GB 11643. The first two digits name the province (GB/T 2260); counties come and go, so they are not looked up.
fn cn_ric(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(piece(text, 0, 17)?)?;
    formed(matches!(char_at(text, 17)?, '0'..='9' | 'X'))?;
    // The number exists since 1984: nobody who got one was born before 1850.
    possible(part(text, 6, 10)? >= 1850)?;
    let date = civil(part(text, 6, 10)?, part(text, 10, 12)?, part(text, 12, 14)?)?;
    possible(matches!(
        part(text, 0, 2)?,
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81 | 82 | 83
    ))?;
    passes(pure(text, 2, 11, "0123456789X") == Some(1))?;
    Ok(Facts::born(date, odd_is_male(part(text, 16, 17)?)))
}

/// GB 32100: base 31 without I, O, S, V and Z.
fn cn_uscc(text: &str, _: Option<PartialDate>) -> Outcome {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    formed(
        "0123456789ANY".contains(char_at(text, 0)?)
            && text.chars().all(|c| ALPHABET.contains(c))
            && piece(text, 2, 8)?.bytes().all(|b| b.is_ascii_digit()),
    )?;
    let (mut sum, mut weight) = (0, 1);
    for c in text.chars().take(17) {
        sum += ALPHABET.find(c).ok_or(Reason::Format)? * weight;
        weight = weight * 3 % 31;
    }
    passes(ALPHABET.chars().nth((31 - sum % 31) % 31) == Some(char_at(text, 17)?))?;
    Ok(Facts::default())
}

/// One or two letters, six digits, a check of 0 to 9 or A; a single letter counts as preceded by a space worth 36.
fn hk_hkid(text: &str, _: Option<PartialDate>) -> Outcome {
    if text.len() != 8 && text.len() != 9 {
        return Err(Reason::Length);
    }
    formed(like(text, "A999999*") || like(text, "AA999999*"))?;
    let last = char_at(text, text.len() - 1)?;
    formed(matches!(last, '0'..='9' | 'A'))?;
    let mut sum = if text.len() == 8 { 36 * 9 } else { 0 };
    for (place, c) in text.chars().rev().enumerate() {
        sum += c.to_digit(36).ok_or(Reason::Format)? * (place as u32 + 1).max(1);
    }
    passes(sum.is_multiple_of(11))?;
    Ok(Facts::default())
}

/// Women add 40 to the day. The province must be one of those that exist (Permendagri 72/2022).
fn id_nik(text: &str, today: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    let day = part(text, 6, 8)?;
    let date = recent(part(text, 10, 12)?, part(text, 8, 10)?, day % 40, today)?;
    possible(
        matches!(part(text, 0, 2)?, 11..=19 | 21 | 31..=36 | 51..=53 | 61..=65 | 71..=76 | 81 | 82 | 91..=97),
    )?;
    Ok(Facts::born(date, Some(if day > 40 { Sex::Female } else { Sex::Male })))
}

/// Since 2024 sixteen digits: a person's NIK, or the old fifteen after a zero.
fn id_npwp(text: &str, today: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    let old = match (text.len(), text.strip_prefix('0')) {
        (16, None) => return id_nik(text, today).map(|_| Facts::default()),
        (16, Some(old)) => old,
        _ => text,
    };
    passes(luhn_ok(piece(old, 0, 9)?))?;
    Ok(Facts::default())
}

fn il_hp(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    formed(text.starts_with('5'))?;
    passes(luhn_ok(text))?;
    Ok(Facts::default())
}

fn palindrome(text: &str) -> bool {
    text.bytes().eq(text.bytes().rev())
}

fn in_aadhaar(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    formed(!text.starts_with(['0', '1']) && !palindrome(text))?;
    passes(verhoeff(text) == Some(0))?;
    Ok(Facts::default())
}

fn in_vid(text: &str, today: Option<PartialDate>) -> Outcome {
    in_aadhaar(text, today)
}

fn in_epic(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(like(text, "AAA9999999"))?;
    passes(luhn_ok(piece(text, 3, 10)?))?;
    Ok(Facts::default())
}

/// The fourth letter says who holds it: P a person, C a company, and so on.
fn in_pan(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(like(text, "AAAAA9999A"))?;
    possible("ABCFGHJKLPT".contains(char_at(text, 3)?))?;
    possible(piece(text, 5, 9)? != "0000")?;
    Ok(Facts::default())
}

fn in_gstin(text: &str, today: Option<PartialDate>) -> Outcome {
    formed(like(text, "99AAAAA9999A***"))?;
    formed(char_at(text, 12)? != '0' && char_at(text, 13)? == 'Z')?;
    possible(matches!(part(text, 0, 2)?, 1..=38 | 97 | 99))?;
    in_pan(piece(text, 2, 12)?, today)?;
    passes(luhn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == Some(0))?;
    Ok(Facts::default())
}

fn jp_cn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let sum: u32 =
        digits.iter().skip(1).zip([2, 1].iter().cycle()).map(|(digit, weight)| digit * weight).sum();
    passes(9 - sum % 9 == at(&digits, 0))?;
    Ok(Facts::default())
}

fn kr_brn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    possible(part(text, 0, 3)? >= 101 && part(text, 3, 5)? > 0 && part(text, 5, 9)? > 0)?;
    let sum = weighted(&digits, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + i64::from(at(&digits, 8) * 5 / 10);
    passes((10 - sum % 10) % 10 == i64::from(at(&digits, 9)))?;
    Ok(Facts::default())
}

/// The seventh digit: sex and century (9, 0 1800s; 1, 2, 5, 6 1900s; 3, 4, 7, 8 2000s).
fn kr_rrn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let lead = at(&digits, 6);
    let century = match lead {
        9 | 0 => 1800,
        1 | 2 | 5 | 6 => 1900,
        _ => 2000,
    };
    let date = civil(century + part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?)?;
    possible(part(text, 7, 9)? <= 96)?;
    let sum = rest(&digits, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5], 11);
    passes((11 - sum) % 10 == i64::from(at(&digits, 12)))?;
    Ok(Facts::born(date, odd_is_male(lead)))
}

/// The seventh digit: 1, 2 1800s; 3, 4 1900s; 5, 6 2000s; 0 for foreigners.
fn kz_iin(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let lead = at(&digits, 6);
    let (yy, month, day) = (part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?);
    let date = match lead {
        1 | 2 => civil(1800 + yy, month, day)?,
        3 | 4 => civil(1900 + yy, month, day)?,
        5 | 6 => civil(2000 + yy, month, day)?,
        0 => recent(yy, month, day, today)?,
        _ => return Err(Reason::Component),
    };
    let date = not_after(date, today)?;
    let mut check = rest(&digits, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 11);
    if check == 10 {
        check = rest(&digits, &[3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2], 11);
    }
    passes(check == i64::from(at(&digits, 11)))?;
    Ok(Facts::born(date, if lead == 0 { None } else { odd_is_male(lead) }))
}

/// Place codes in use for states and countries of birth (Jabatan Pendaftaran Negara).
fn my_nric(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let date = recent(part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?, today)?;
    possible(matches!(
        part(text, 6, 8)?,
        1..=16 | 21..=68 | 71 | 72 | 74..=79 | 82..=93 | 98 | 99
    ))?;
    Ok(Facts::born(date, odd_is_male(at(&digits, 11))))
}

fn pk_cnic(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    possible((1..=7).contains(&at(&digits, 0)))?;
    possible(at(&digits, 12) != 0)?;
    Ok(Facts { sex: odd_is_male(at(&digits, 12)), ..Facts::default() })
}

/// S and T citizens and residents, F, G and M foreigners; the letter is picked by a sum modulo eleven.
fn sg_nric(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(like(text, "A9999999A"))?;
    let digits = all_digits(piece(text, 1, 8)?)?;
    let sum = weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]);
    let (offset, letters) = match char_at(text, 0)? {
        'S' => (0, "JZIHGFEDCBA"),
        'T' => (4, "JZIHGFEDCBA"),
        'F' => (0, "XWUTRQPNMLK"),
        'G' => (4, "XWUTRQPNMLK"),
        'M' => (3, "XWUTRQPNJLK"),
        _ => return Err(Reason::Component),
    };
    let place = (sum + offset) % 11;
    let place = if text.starts_with('M') { 10 - (10 - place).rem_euclid(11) } else { place };
    passes(letters.chars().nth(place as usize) == Some(char_at(text, 8)?))?;
    Ok(Facts::default())
}

/// Businesses nnnnnnnnX, local companies yyyynnnnnX, other entities TyyPQnnnnX.
fn sg_uen(text: &str, today: Option<PartialDate>) -> Outcome {
    const OTHER: [&str; 24] = [
        "CC", "CD", "CH", "CL", "CM", "CP", "CS", "CX", "DP", "FB", "FC", "FM", "FN", "GA", "GB", "GS", "HS",
        "LL", "LP", "MB", "MC", "MD", "MH", "MM",
    ];
    const MORE: [&str; 21] = [
        "MQ", "NB", "NR", "PA", "PB", "PF", "RF", "RP", "SM", "SS", "TC", "TU", "VH", "XL", "PP", "MF", "LC",
        "NP", "VC", "IC", "UF",
    ];
    match text.len() {
        9 => {
            formed(like(text, "99999999A"))?;
            let digits = all_digits(piece(text, 0, 8)?)?;
            let sum = rest(&digits, &[10, 4, 9, 3, 8, 2, 7, 1], 11);
            passes("XMKECAWLJDB".chars().nth(sum as usize) == text.chars().last())?;
        }
        10 if text.starts_with(|c: char| c.is_ascii_digit()) => {
            formed(like(text, "999999999A"))?;
            if let Some(this) = today.and_then(|today| today.year) {
                possible(part(text, 0, 4)? <= u32::from(this))?;
            }
            let digits = all_digits(piece(text, 0, 9)?)?;
            let sum = rest(&digits, &[10, 8, 6, 4, 9, 7, 5, 3, 1], 11);
            passes("ZKCMDNERGWH".chars().nth(sum as usize) == text.chars().last())?;
        }
        10 => {
            formed(like(text, "A99AA9999A") && "RST".contains(char_at(text, 0)?))?;
            if let (true, Some(this)) = (text.starts_with('T'), today.and_then(|today| today.year)) {
                possible(part(text, 1, 3)? <= u32::from(this) % 100)?;
            }
            let class = piece(text, 3, 5)?;
            possible(OTHER.contains(&class) || MORE.contains(&class))?;
            const ALPHABET: &str = "ABCDEFGHJKLMNPQRSTUVWX0123456789";
            let mut sum = 0;
            for (c, weight) in text.chars().zip([4, 3, 5, 3, 10, 2, 2, 5, 7]) {
                sum += ALPHABET.find(c).ok_or(Reason::Format)? as i64 * weight;
            }
            passes(ALPHABET.chars().nth((sum - 5).rem_euclid(11) as usize) == text.chars().last())?;
        }
        _ => return Err(Reason::Length),
    }
    Ok(Facts::default())
}

/// A person's number or that of a company, by the first digit.
fn th_tin(text: &str, today: Option<PartialDate>) -> Outcome {
    if text.starts_with('0') {
        return th_moa(text, today);
    }
    all_digits(text)?;
    formed(!text.starts_with('9'))?;
    let sum: u32 =
        text.chars().take(12).zip((2..=13).rev()).filter_map(|(c, w)| Some(c.to_digit(10)? * w)).sum();
    passes((11 - sum % 11) % 10 == part(text, 12, 13)?)?;
    Ok(Facts::default())
}

fn th_moa(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    formed(text.starts_with('0'))?;
    let sum: u32 =
        text.chars().take(12).zip((2..=13).rev()).filter_map(|(c, w)| Some(c.to_digit(10)? * w)).sum();
    passes((11 - sum % 11) % 10 == part(text, 12, 13)?)?;
    Ok(Facts::default())
}

/// The letter names the place of first registration; the digit after it the sex (8 and 9 for residents).
fn tw_id(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(like(text, "A999999999"))?;
    const LETTERS: &str = "ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let place = LETTERS.find(char_at(text, 0)?).ok_or(Reason::Format)? as u32 + 10;
    let digits = all_digits(piece(text, 1, 10)?)?;
    let sex = match at(&digits, 0) {
        1 | 8 => Sex::Male,
        2 | 9 => Sex::Female,
        _ => return Err(Reason::Component),
    };
    let sum = i64::from(place / 10 + place % 10 * 9) + weighted(&digits, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    passes(sum % 10 == 0)?;
    Ok(Facts { sex: Some(sex), ..Facts::default() })
}

/// Products are folded to one digit; a seventh digit 7 may count 0 or 1. Since 2023 the sum need only divide by five.
fn tw_ubn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let sum: u32 = digits
        .iter()
        .zip([1, 2, 1, 2, 1, 2, 4, 1])
        .map(|(digit, weight)| digit * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    passes(sum.is_multiple_of(5) || (at(&digits, 6) == 7 && (sum + 1).is_multiple_of(5)))?;
    Ok(Facts::default())
}

/// Ten digits, and three more for a branch.
fn vn_mst(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    possible(piece(text, 2, 9)? != "0000000")?;
    possible(text.len() == 10 || piece(text, 10, 13)? != "000")?;
    let sum = rest(&digits, &[31, 29, 23, 19, 17, 13, 7, 5, 3], 11);
    passes(10 - sum == i64::from(at(&digits, 9)))?;
    Ok(Facts::default())
}
