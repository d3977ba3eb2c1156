//! Southern and south-eastern Europe, and France.

use super::*;
use crate::algorithms::luhn;
use crate::date::{civil, not_after, recent};

pub(super) fn function(id: &str) -> Option<Function> {
    Some(match id {
        "ad.nrt" => ad_nrt,
        "al.nipt" => al_nipt,
        "bg.egn" => bg_egn,
        "bg.vat" => bg_vat,
        "cy.vat" => cy_vat,
        "es.cif" => es_cif,
        "es.dni" => es_dni,
        "es.nie" => es_nie,
        "es.nif" => es_nif,
        "fr.nif" => fr_nif,
        "fr.nir" => fr_nir,
        "fr.siret" => fr_siret,
        "fr.tva" => fr_tva,
        "gr.amka" => gr_amka,
        "it.codicefiscale" => it_codicefiscale,
        "it.iva" => it_iva,
        "mc.tva" => mc_tva,
        "me.iban" => me_iban,
        "pt.cc" => pt_cc,
        "ro.cf" => ro_cf,
        "ro.cnp" => ro_cnp,
        "ro.cui" => ro_cui,
        "rs.jmbg" | "si.emso" => jmbg,
        "sm.coe" => sm_coe,
        "tr.tckimlik" => tr_tckimlik,
        "tr.vkn" => tr_vkn,
        _ => return None,
    })
}

fn ad_nrt(text: &str, _: Option<PartialDate>) -> Outcome {
    if text.len() != 8 {
        return Err(Reason::Length);
    }
    formed(like(text, "A999999A"))?;
    let number = part(text, 1, 7)?;
    match char_at(text, 0)? {
        'F' => possible(number <= 699_999)?,
        'A' | 'L' => possible((700_000..800_000).contains(&number))?,
        'C' | 'D' | 'E' | 'G' | 'O' | 'P' | 'U' => {}
        _ => return Err(Reason::Component),
    }
    Ok(Facts::default())
}

fn al_nipt(text: &str, _: Option<PartialDate>) -> Outcome {
    if text.len() != 10 {
        return Err(Reason::Length);
    }
    formed(like(text, "A99999999A") && char_at(text, 0)? <= 'M')?;
    Ok(Facts::default())
}

/// Month + 20: 1800s; + 40: 2000s.
fn bg_egn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let (yy, month, day) = (part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?);
    let (century, month) = match month {
        0..=20 => (1900, month),
        21..=40 => (1800, month - 20),
        _ => (2000, month - 40),
    };
    let date = civil(century + yy, month, day)?;
    let check = rest(&digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6], 11) % 10;
    passes(check == i64::from(at(&digits, 9)))?;
    Ok(Facts::born(date, Some(if at(&digits, 8).is_multiple_of(2) { Sex::Male } else { Sex::Female })))
}

fn bg_vat(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    match text.len() {
        9 => {
            let mut check = rest(&digits, &[1, 2, 3, 4, 5, 6, 7, 8], 11);
            if check == 10 {
                check = rest(&digits, &[3, 4, 5, 6, 7, 8, 9, 10], 11) % 10;
            }
            passes(check == i64::from(at(&digits, 8)))?;
            Ok(Facts::default())
        }
        10 => {
            let other = (11 - rest(&digits, &[4, 3, 2, 7, 6, 5, 4, 3, 2], 11)) % 11;
            let good = other == i64::from(at(&digits, 9))
                || bg_egn(text, today).is_ok()
                || as_kind("bg.pnf", text, today).is_ok();
            passes(good)?;
            Ok(Facts::default())
        }
        _ => Err(Reason::Length),
    }
}

fn cy_vat(text: &str, _: Option<PartialDate>) -> Outcome {
    if text.len() != 9 {
        return Err(Reason::Length);
    }
    formed(like(text, "99999999A"))?;
    possible(!text.starts_with("12"))?;
    const ODD: [u32; 10] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
    let mut sum = 0;
    for (place, digit) in all_digits(piece(text, 0, 8)?)?.into_iter().enumerate() {
        sum += if place % 2 == 0 { ODD.get(digit as usize).copied().unwrap_or(0) } else { digit };
    }
    passes(char::from_u32('A' as u32 + sum % 26) == Some(char_at(text, 8)?))?;
    Ok(Facts::default())
}

const DNI_LETTERS: &str = "TRWAGMYFPDXBNJZSQVHLCKE";

fn dni_letter(digits: &str, letter: char) -> Result<(), Reason> {
    let place = crate::algorithms::value(digits).ok_or(Reason::Format)? % 23;
    passes(DNI_LETTERS.chars().nth(place as usize) == Some(letter))
}

fn es_dni(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(like(text, "99999999A"))?;
    dni_letter(piece(text, 0, 8)?, char_at(text, 8)?)?;
    Ok(Facts::default())
}

fn es_nie(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(like(text, "A9999999A"))?;
    let lead = "XYZ".find(char_at(text, 0)?).ok_or(Reason::Format)?;
    dni_letter(&format!("{lead}{}", piece(text, 1, 8)?), char_at(text, 8)?)?;
    Ok(Facts::default())
}

/// The control is a digit for companies; for the rest both forms of it are met, whatever the decree says.
fn es_cif(text: &str, _: Option<PartialDate>) -> Outcome {
    if text.len() != 9 {
        return Err(Reason::Length);
    }
    formed(like(text, "A9999999*"))?;
    let lead = char_at(text, 0)?;
    let check = char_at(text, 8)?;
    formed("ABCDEFGHJNPQRSUVW".contains(lead))?;
    let sum = luhn(&format!("{}0", piece(text, 1, 8)?), "0123456789").ok_or(Reason::Format)?;
    let digit = (10 - sum) % 10;
    let as_digit = check.to_digit(10) == Some(digit);
    let as_letter = "JABCDEFGHI".chars().nth(digit as usize) == Some(check);
    passes(match lead {
        'A' | 'B' | 'E' | 'H' => as_digit,
        _ => as_digit || as_letter,
    })?;
    Ok(Facts::default())
}

fn es_nif(text: &str, today: Option<PartialDate>) -> Outcome {
    match char_at(text, 0)? {
        'K' | 'L' | 'M' => {
            formed(like(text, "A*******A"))?;
            all_digits(piece(text, 1, 8)?)?;
            dni_letter(piece(text, 1, 8)?, char_at(text, 8)?)?;
            Ok(Facts::default())
        }
        c if c.is_ascii_digit() => es_dni(text, today),
        'X' | 'Y' | 'Z' => es_nie(text, today),
        _ => es_cif(text, today),
    }
}

fn fr_nif(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    formed(text.starts_with(['0', '1', '2', '3']))?;
    let left = modulo(piece(text, 0, 10)?, 511).ok_or(Reason::Format)?;
    passes(left == u64::from(part(text, 10, 13)?))?;
    Ok(Facts::default())
}

/// Month 20 and above stands for a month not known; 2A and 2B are the Corsican departments.
fn fr_nir(text: &str, _: Option<PartialDate>) -> Outcome {
    let department = piece(text, 5, 7)?;
    let numeric = match department {
        "2A" => text.replacen("2A", "19", 1),
        "2B" => text.replacen("2B", "18", 1),
        _ => text.to_owned(),
    };
    all_digits(piece(text, 0, 5)?)?;
    all_digits(piece(text, 7, 15)?)?;
    formed(department.starts_with(|c: char| c.is_ascii_digit()))?;
    all_digits(&numeric)?;
    let department_code = if department.starts_with("2A") {
        "19"
    } else if department.starts_with("2B") {
        "18"
    } else {
        department
    };
    let number = format!("{}{department_code}{}", piece(text, 0, 5)?, piece(text, 7, 13)?);
    let left = modulo(&number, 97).ok_or(Reason::Format)?;
    passes(97 - left == u64::from(part(text, 13, 15)?))?;
    let sex = match char_at(text, 0)? {
        '1' | '3' | '7' => Some(Sex::Male),
        '2' | '4' | '8' => Some(Sex::Female),
        _ => None,
    };
    let month = u8::try_from(part(text, 3, 5)?).ok().filter(|month| (1..=12).contains(month));
    let yy = part(text, 1, 3)? as u8;
    Ok(Facts {
        birth_date: Some(PartialDate { year: None, year_of_century: yy, month, day: None }),
        sex,
        normalized: None,
    })
}

/// Establishments of La Poste (SIREN 356000000) are checked by their digit sum.
fn fr_siret(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    if text.starts_with("356000000") {
        let sum: u32 = digits.iter().sum();
        passes(sum.is_multiple_of(5) || luhn_ok(text))?;
    } else {
        passes(luhn_ok(text))?;
        passes(luhn_ok(piece(text, 0, 9)?))?;
    }
    Ok(Facts::default())
}

/// The key is digits, or since 2014 may hold letters (all but I and O) with a base-34 check.
fn fr_tva(text: &str, _: Option<PartialDate>) -> Outcome {
    const KEY: &str = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let siren = piece(text, 2, 11)?;
    all_digits(siren)?;
    if !siren.starts_with("000") {
        passes(luhn_ok(siren))?;
    }
    let (first, second) = (char_at(text, 0)?, char_at(text, 1)?);
    let (a, b) =
        (KEY.find(first).ok_or(Reason::Format)? as u64, KEY.find(second).ok_or(Reason::Format)? as u64);
    let number: u64 = siren.parse().map_err(|_| Reason::Format)?;
    let good = if first.is_ascii_digit() && second.is_ascii_digit() {
        a * 10 + b == (12 + 3 * (number % 97)) % 97
    } else {
        let check = if first.is_ascii_digit() { a * 24 + b - 10 } else { a * 34 + b - 100 };
        (number + 1 + check / 11) % 11 == check % 11
    };
    passes(good)?;
    Ok(Facts::default())
}

fn mc_tva(text: &str, today: Option<PartialDate>) -> Outcome {
    possible(piece(text, 2, 5)? == "000")?;
    fr_tva(text, today).map(|facts| Facts { normalized: Some(format!("FR{text}")), ..facts })
}

fn gr_amka(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    passes(luhn_ok(text))?;
    let date = recent(part(text, 4, 6)?, part(text, 2, 4)?, part(text, 0, 2)?, today)?;
    Ok(Facts::born(date, odd_is_male(at(&digits, 9))))
}

/// Digits may be replaced by letters to tell apart people with equal codes (omocodia).
fn it_codicefiscale(text: &str, today: Option<PartialDate>) -> Outcome {
    if text.len() == 11 {
        return it_iva(text, today);
    }
    if text.len() != 16 {
        return Err(Reason::Length);
    }
    const SWAPPED: &str = "LMNPQRSTUV";
    const MONTHS: &str = "ABCDEHLMPRST";
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, // 0 to 9
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23, // A to Z
    ];
    let digit = |place: usize| -> Result<u32, Reason> {
        let c = char_at(text, place)?;
        c.to_digit(10).or_else(|| SWAPPED.find(c).map(|value| value as u32)).ok_or(Reason::Format)
    };
    formed(piece(text, 0, 6)?.bytes().all(|b| b.is_ascii_uppercase()))?;
    let (yy, days) = (digit(6)? * 10 + digit(7)?, digit(9)? * 10 + digit(10)?);
    let month = MONTHS.find(char_at(text, 8)?).ok_or(Reason::Format)? as u32 + 1;
    formed(char_at(text, 11)?.is_ascii_uppercase())?;
    for place in 12..15 {
        digit(place)?;
    }
    formed(char_at(text, 15)?.is_ascii_uppercase())?;
    let mut sum = 0;
    for place in 0..15 {
        let value = char_at(text, place)?.to_digit(36).ok_or(Reason::Format)?;
        sum += if place % 2 == 0 {
            ODD.get(value as usize).copied().unwrap_or(0)
        } else if value > 9 {
            value - 10
        } else {
            value
        };
    }
    passes(char::from_u32('A' as u32 + sum % 26) == Some(char_at(text, 15)?))?;
    let (day, sex) = if days > 40 { (days - 40, Sex::Female) } else { (days, Sex::Male) };
    Ok(Facts::born(recent(yy, month, day, today)?, Some(sex)))
}

/// Offices 001 to 100, and 120, 121, 888 and 999.
fn it_iva(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    possible(part(text, 0, 7)? > 0)?;
    let office = part(text, 7, 10)?;
    possible((1..=100).contains(&office) || [120, 121, 888, 999].contains(&office))?;
    passes(luhn_ok(text))?;
    Ok(Facts::default())
}

fn me_iban(text: &str, today: Option<PartialDate>) -> Outcome {
    let facts = super::global::iban(text, today)?;
    possible(text.starts_with("ME"))?;
    passes(modulo(piece(text, 4, 22)?, 97) == Some(1))?;
    Ok(facts)
}

fn pt_cc(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(like(text, "999999999**9"))?;
    const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    // Luhn over base-36 values, folded by nine instead of by the base.
    let mut sum = 0;
    for (place, c) in text.chars().rev().enumerate() {
        let value = ALPHABET.find(c).ok_or(Reason::Format)? as u32;
        let doubled = value * 2;
        sum += if place % 2 == 0 {
            value
        } else if doubled > 9 {
            doubled - 9
        } else {
            doubled
        };
    }
    passes(sum.is_multiple_of(10))?;
    Ok(Facts::default())
}

fn ro_cui(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    let padded = format!("{text:0>10}");
    let digits = all_digits(&padded)?;
    let check = (10 * weighted(&digits, &[7, 5, 3, 2, 1, 7, 5, 3, 2])).rem_euclid(11) % 10;
    passes(check == i64::from(at(&digits, 9)))?;
    Ok(Facts::default())
}

fn ro_cf(text: &str, today: Option<PartialDate>) -> Outcome {
    match text.len() {
        13 => ro_cnp(text, today),
        2..=10 => as_kind("ro.cui", text, today),
        _ => Err(Reason::Length),
    }
}

/// 1, 2: 1900s; 3, 4: 1800s; 5, 6: 2000s; 7, 8: residents; 9: foreigners. Counties 01 to 46, 47, 48, 51, 52, 70, 80 to 83.
fn ro_cnp(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let lead = at(&digits, 0);
    possible(lead != 0)?;
    let (yy, month, day) = (part(text, 1, 3)?, part(text, 3, 5)?, part(text, 5, 7)?);
    let date = match lead {
        1 | 2 => civil(1900 + yy, month, day)?,
        3 | 4 => civil(1800 + yy, month, day)?,
        5 | 6 => civil(2000 + yy, month, day)?,
        _ => recent(yy, month, day, today)?,
    };
    let date = not_after(date, today)?;
    let county = part(text, 7, 9)?;
    possible(matches!(county, 1..=48 | 51 | 52 | 70 | 80..=83))?;
    let check = rest(&digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9], 11);
    passes((if check == 10 { 1 } else { check }) == i64::from(at(&digits, 12)))?;
    Ok(Facts::born(date, if lead == 9 { None } else { odd_is_male(lead) }))
}

/// DDMMYYY RR BBB K; the year keeps its last three digits.
fn jmbg(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let yyy = part(text, 4, 7)?;
    let year = if yyy < 800 { 2000 + yyy } else { 1000 + yyy };
    let date = civil(year, part(text, 2, 4)?, part(text, 0, 2)?)?;
    let sum = rest(&digits, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2], 11);
    passes((11 - sum) % 11 % 10 == i64::from(at(&digits, 12)))?;
    let sex = if part(text, 9, 12)? < 500 { Sex::Male } else { Sex::Female };
    Ok(Facts::born(date, Some(sex)))
}

fn sm_coe(text: &str, _: Option<PartialDate>) -> Outcome {
    let number = text.trim_start_matches('0');
    if number.is_empty() || number.len() > 5 {
        return Err(Reason::Length);
    }
    all_digits(number)?;
    Ok(Facts { normalized: Some(number.to_owned()), ..Facts::default() })
}

fn tr_tckimlik(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let odd: i64 = [0, 2, 4, 6, 8].into_iter().map(|i| i64::from(at(&digits, i))).sum();
    let even: i64 = [1, 3, 5, 7].into_iter().map(|i| i64::from(at(&digits, i))).sum();
    let tenth = (odd * 7 - even).rem_euclid(10);
    let eleventh = (odd + even + tenth).rem_euclid(10);
    passes(tenth == i64::from(at(&digits, 9)) && eleventh == i64::from(at(&digits, 10)))?;
    Ok(Facts::default())
}

fn tr_vkn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let mut sum = 0;
    for place in 0..9 {
        let value = (at(&digits, place) + 9 - place as u32) % 10;
        if value != 0 {
            let step = value * (1 << (9 - place)) % 9;
            sum += if step == 0 { 9 } else { step };
        }
    }
    passes((10 - sum % 10) % 10 == at(&digits, 9))?;
    Ok(Facts::default())
}
