//! Northern, western and eastern Europe.

use super::*;
use crate::algorithms::{luhn, pure};
use crate::date::{civil, not_after, recent};

pub(super) fn function(id: &str) -> Option<Function> {
    Some(match id {
        "at.tin" => at_tin,
        "at.uid" => at_uid,
        "at.vnr" => at_vnr,
        "be.bis" => be_bis,
        "be.eid" => be_eid,
        "be.nn" => be_nn,
        "be.ssn" => be_ssn,
        "be.vat" => be_vat,
        "by.unp" => by_unp,
        "ch.ssn" => ch_ssn,
        "cz.dic" => cz_dic,
        "cz.rc" | "sk.rc" => cz_rc,
        "de.idnr" => de_idnr,
        "dk.cpr" => dk_cpr,
        "ee.ik" => ee_ik,
        "fi.hetu" => fi_hetu,
        "gb.nino" => gb_nino,
        "gb.utr" => gb_utr,
        "gb.vat" => gb_vat,
        "ie.pps" => ie_pps,
        "is_.kennitala" => is_kennitala,
        "lt.asmens" => lt_asmens,
        "nl.identiteitskaartnummer" => nl_document,
        "lt.pvm" => lt_pvm,
        "lu.tva" => lu_tva,
        "lv.pk" => lv_pk,
        "lv.pvn" => lv_pvn,
        "md.idno" => return None,
        "nl.btw" => nl_btw,
        "nl.onderwijsnummer" => nl_onderwijsnummer,
        "no.fodselsnummer" => no_fodselsnummer,
        "no.kontonr" => no_kontonr,
        "no.mva" => no_mva,
        "pl.pesel" => pl_pesel,
        "pl.regon" => pl_regon,
        "ru.inn" => ru_inn,
        "ru.ogrn" => ru_ogrn,
        "ru.snils" => ru_snils,
        "se.personnummer" => se_personnummer,
        "se.vat" => se_vat,
        "sk.dph" => sk_dph,
        "ua.edrpou" => ua_edrpou,
        "ua.rntrc" => ua_rntrc,
        _ => return None,
    })
}

fn at_tin(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let sum: u32 = digits
        .iter()
        .take(8)
        .enumerate()
        .map(|(i, d)| if i % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { *d })
        .sum();
    passes((10 - sum % 10) % 10 == at(&digits, 8))?;
    Ok(Facts::default())
}

fn at_uid(text: &str, _: Option<PartialDate>) -> Outcome {
    if text.len() != 9 {
        return Err(Reason::Length);
    }
    formed(like(text, "U99999999"))?;
    let digits = all_digits(piece(text, 1, 9)?)?;
    let sum: u32 = digits
        .iter()
        .take(7)
        .enumerate()
        .map(|(i, d)| if i % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { *d })
        .sum();
    passes((96 - sum) % 10 == at(&digits, 7))?;
    Ok(Facts::default())
}

/// The birth date may be impossible (month 13 and above when the days ran out), so it is given only when real.
fn at_vnr(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let sum = rest(&digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6], 11);
    passes(sum == i64::from(at(&digits, 3)))?;
    let date = recent(part(text, 8, 10)?, part(text, 6, 8)?, part(text, 4, 6)?, today).ok();
    Ok(Facts { birth_date: date, ..Facts::default() })
}

/// The century of a Belgian number follows from which prefix makes its check right.
fn be_century(text: &str) -> Result<u32, Reason> {
    let check = u64::from(part(text, 9, 11)?);
    let body = piece(text, 0, 9)?;
    let right = |number: &str| modulo(number, 97).is_some_and(|rest| 97 - rest == check);
    if right(&format!("2{body}")) {
        Ok(2000)
    } else if right(body) {
        Ok(1900)
    } else {
        Err(Reason::Checksum)
    }
}

fn be_birth(
    text: &str,
    century: u32,
    month_shift: u32,
    today: Option<PartialDate>,
) -> Result<Option<PartialDate>, Reason> {
    let (yy, month, day) = (part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?);
    let month = month.checked_sub(month_shift).ok_or(Reason::Component)?;
    possible(month <= 12)?;
    let year = century + yy;
    if month == 0 || day == 0 {
        // Unknown month, or the days of the month ran out: only the year is meant (and `00 00 01` not even that).
        if yy == 0 && month == 0 {
            return Ok(None);
        }
        let known = u8::try_from(month).ok().filter(|month| *month > 0);
        let year = u16::try_from(year).map_err(|_| Reason::Component)?;
        possible(today.and_then(|today| today.year).is_none_or(|this| year <= this))?;
        return Ok(Some(PartialDate {
            year: Some(year),
            year_of_century: (yy % 100) as u8,
            month: known,
            day: None,
        }));
    }
    not_after(civil(year, month, day)?, today).map(Some)
}

fn be_nn(text: &str, today: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    let century = be_century(text)?;
    let birth_date = be_birth(text, century, 0, today)?;
    Ok(Facts { birth_date, sex: odd_is_male(part(text, 6, 9)?), normalized: None })
}

/// Month + 20: the sex was not known when the number was given; + 40: it was.
fn be_bis(text: &str, today: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    let month = part(text, 2, 4)?;
    possible((20..=32).contains(&month) || (40..=52).contains(&month))?;
    let century = be_century(text)?;
    let birth_date = be_birth(text, century, if month >= 40 { 40 } else { 20 }, today)?;
    let sex = if month >= 40 { odd_is_male(part(text, 6, 9)?) } else { None };
    Ok(Facts { birth_date, sex, normalized: None })
}

fn be_ssn(text: &str, today: Option<PartialDate>) -> Outcome {
    be_nn(text, today).or_else(|reason| be_bis(text, today).map_err(|_| reason))
}

/// The last two digits are the first ten modulo 97, with 97 for 0.
fn be_eid(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    let rest = modulo(piece(text, 0, 10)?, 97).ok_or(Reason::Format)?;
    passes(u64::from(part(text, 10, 12)?) == if rest == 0 { 97 } else { rest })?;
    Ok(Facts::default())
}

/// Two letters, six letters or digits, a digit; the letter O is never used.
fn nl_document(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(
        !text.contains('O')
            && text.chars().enumerate().all(|(i, c)| match i {
                0 | 1 => c.is_ascii_uppercase(),
                8 => c.is_ascii_digit(),
                _ => c.is_ascii_uppercase() || c.is_ascii_digit(),
            }),
    )?;
    Ok(Facts::default())
}

fn be_vat(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    possible(text.starts_with(['0', '1']) && part(text, 0, 8)? > 0)?;
    passes((part(text, 0, 8)? + part(text, 8, 10)?).is_multiple_of(97))?;
    Ok(Facts::default())
}

/// Letters mark natural persons: the first counts by its place in the Latin alphabet of the tax office.
fn by_unp(text: &str, _: Option<PartialDate>) -> Outcome {
    let latin: String = text
        .chars()
        .map(|c| {
            "АВЕМНКОРСТ"
                .chars()
                .position(|cyrillic| cyrillic == c)
                .and_then(|i| "ABEMHKOPCT".chars().nth(i))
                .unwrap_or(c)
        })
        .collect();
    if latin.chars().count() != 9 {
        return Err(Reason::Length);
    }
    formed(piece(&latin, 2, 9)?.bytes().all(|b| b.is_ascii_digit()))?;
    let natural = !piece(&latin, 0, 2)?.bytes().all(|b| b.is_ascii_digit());
    const SECOND: &str = "ABCEHKMOPT";
    if natural {
        formed("ABCEHKM".contains(char_at(&latin, 0)?) && SECOND.contains(char_at(&latin, 1)?))?;
    } else {
        possible("1234567".contains(char_at(&latin, 0)?))?;
    }
    let mut values = Vec::new();
    for (place, c) in latin.chars().enumerate() {
        let value = match (place, c.to_digit(10)) {
            (_, Some(digit)) => digit,
            (0, None) => c as u32 - 'A' as u32 + 10,
            _ => SECOND.find(c).ok_or(Reason::Format)? as u32,
        };
        values.push(value);
    }
    let sum = rest(&values, &[29, 23, 19, 17, 13, 7, 5, 3], 11);
    passes(sum < 10 && sum == i64::from(at(&values, 8)))?;
    Ok(Facts { normalized: Some(latin), ..Facts::default() })
}

fn ch_ssn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    passes(rest(&digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1], 10) == 0)?;
    possible(text.starts_with("756"))?;
    Ok(Facts::default())
}

fn cz_dic(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    match text.len() {
        8 => {
            possible(at(&digits, 0) != 9)?;
            let check = (11 - rest(&digits, &[8, 7, 6, 5, 4, 3, 2], 11)) % 11;
            let check = if check == 0 { 1 } else { check % 10 };
            passes(check == i64::from(at(&digits, 7)))?;
            Ok(Facts::default())
        }
        9 if text.starts_with('6') => {
            let inner = digits.get(1..).ok_or(Reason::Length)?;
            let check = rest(inner, &[8, 7, 6, 5, 4, 3, 2], 11);
            passes((8 - (10 - check).rem_euclid(11)).rem_euclid(10) == i64::from(at(&digits, 8)))?;
            Ok(Facts::default())
        }
        9 | 10 => cz_rc(text, today),
        _ => Err(Reason::Length),
    }
}

/// Nine digits until 1953 without a check; ten since, divisible by eleven (with a lapse until 1985 where rest 10 gave 0).
fn cz_rc(text: &str, today: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    if text.len() != 9 && text.len() != 10 {
        return Err(Reason::Length);
    }
    let (yy, coded, day) = (part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?);
    let month = coded % 50 % 20;
    let year = if text.len() == 9 {
        let year = if yy >= 80 { 1800 + yy } else { 1900 + yy };
        possible(year <= 1953)?;
        year
    } else if yy < 54 {
        2000 + yy
    } else {
        1900 + yy
    };
    let date = not_after(civil(year, month, day)?, today)?;
    if text.len() == 10 {
        let left = modulo(piece(text, 0, 9)?, 11).ok_or(Reason::Format)?;
        let check = if year < 1985 { left % 10 } else { left };
        passes(check == u64::from(part(text, 9, 10)?))?;
    }
    Ok(Facts::born(date, Some(if coded >= 50 { Sex::Female } else { Sex::Male })))
}

/// Exactly one digit stands twice or thrice among the first ten, every other at most once.
fn de_idnr(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let mut counts = [0; 10];
    for digit in digits.iter().take(10) {
        if let Some(count) = counts.get_mut(*digit as usize) {
            *count += 1;
        }
    }
    let repeated: Vec<i32> = counts.into_iter().filter(|count| *count > 1).collect();
    formed(matches!(repeated.as_slice(), [2 | 3]))?;
    passes(mod_11_10(text))?;
    Ok(Facts::default())
}

/// Since 2007 numbers without a right check digit are given out, so none is asked for.
fn dk_cpr(text: &str, today: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    let (day, month, yy, seventh) =
        (part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?, part(text, 6, 7)?);
    let century = match (seventh, yy) {
        (5..=8, 58..) => 1800,
        (0..=3, _) | (4 | 9, 37..) => 1900,
        _ => 2000,
    };
    let date = not_after(civil(century + yy, month, day)?, today)?;
    Ok(Facts::born(date, odd_is_male(part(text, 9, 10)?)))
}

fn baltic_check(digits: &[u32]) -> u32 {
    let first = rest(digits, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1], 11);
    let check = if first == 10 { rest(digits, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3], 11) } else { first };
    (check % 10) as u32
}

fn baltic_birth(text: &str) -> Result<PartialDate, Reason> {
    let century = match part(text, 0, 1)? {
        1 | 2 => 1800,
        3 | 4 => 1900,
        5 | 6 => 2000,
        7 | 8 => 2100,
        _ => return Err(Reason::Component),
    };
    civil(century + part(text, 1, 3)?, part(text, 3, 5)?, part(text, 5, 7)?)
}

fn ee_ik(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let date = baltic_birth(text)?;
    passes(baltic_check(&digits) == at(&digits, 10))?;
    Ok(Facts::born(date, odd_is_male(at(&digits, 0))))
}

/// A leading 9 marks the rare number without a birth date.
fn lt_asmens(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let date = if at(&digits, 0) == 9 { None } else { Some(baltic_birth(text)?) };
    passes(baltic_check(&digits) == at(&digits, 10))?;
    Ok(Facts { birth_date: date, sex: date.and_then(|_| odd_is_male(at(&digits, 0))), normalized: None })
}

fn lt_pvm(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let body = match text.len() {
        9 => {
            possible(at(&digits, 7) == 1)?;
            8
        }
        12 => {
            possible(at(&digits, 10) == 1)?;
            11
        }
        _ => return Err(Reason::Length),
    };
    let first: u32 = (0..body).map(|i| at(&digits, i) * (1 + i as u32 % 9)).sum::<u32>() % 11;
    let check = if first == 10 {
        (0..body).map(|i| at(&digits, i) * (1 + (i as u32 + 2) % 9)).sum::<u32>() % 11
    } else {
        first
    };
    passes(check % 10 == at(&digits, body))?;
    Ok(Facts::default())
}

/// Signs of the century: `+` 1800s; `-` and U to Y 1900s; A to F 2000s. 900 to 999 are for test use.
fn fi_hetu(text: &str, _: Option<PartialDate>) -> Outcome {
    let century = match char_at(text, 6)? {
        '+' => 1800,
        '-' | 'U'..='Y' => 1900,
        'A'..='F' => 2000,
        _ => return Err(Reason::Format),
    };
    let individual = part(text, 7, 10)?;
    let check = char_at(text, 10)?;
    formed(check.is_ascii_alphanumeric())?;
    let date = civil(century + part(text, 4, 6)?, part(text, 2, 4)?, part(text, 0, 2)?)?;
    possible((2..900).contains(&individual))?;
    let number = format!("{}{}", piece(text, 0, 6)?, piece(text, 7, 10)?);
    let wanted =
        modulo(&number, 31).and_then(|rest| "0123456789ABCDEFHJKLMNPRSTUVWXY".chars().nth(rest as usize));
    passes(wanted == Some(check))?;
    Ok(Facts::born(date, odd_is_male(individual)))
}

/// HM Revenue & Customs, NIM39110: prefixes and letters that are never used.
fn gb_nino(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(like(text, "AA999999") || like(text, "AA999999A"))?;
    formed(text.chars().nth(8).is_none_or(|suffix| "ABCD".contains(suffix)))?;
    let prefix = piece(text, 0, 2)?;
    possible(!prefix.contains(['D', 'F', 'I', 'Q', 'U', 'V']) && !prefix.ends_with('O'))?;
    possible(!["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"].contains(&prefix))?;
    Ok(Facts::default())
}

fn gb_utr(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let sum = rest(digits.get(1..).ok_or(Reason::Length)?, &[6, 7, 8, 9, 10, 5, 4, 3, 2], 11);
    let wanted = "21987654321".chars().nth(sum as usize);
    passes(wanted == text.chars().next())?;
    Ok(Facts::default())
}

fn gb_vat(text: &str, _: Option<PartialDate>) -> Outcome {
    match text.len() {
        5 => {
            formed(like(text, "GD999") || like(text, "HA999"))?;
            let number = part(text, 2, 5)?;
            possible(if text.starts_with("GD") { number < 500 } else { number >= 500 })?;
        }
        9 | 12 => {
            let digits = all_digits(text)?;
            let sum = rest(&digits, &[8, 7, 6, 5, 4, 3, 2, 10, 1], 97);
            let allowed =
                if part(text, 0, 3)? >= 100 { sum == 0 || sum == 42 || sum == 55 } else { sum == 0 };
            passes(allowed)?;
        }
        _ => return Err(Reason::Length),
    }
    Ok(Facts::default())
}

/// Seven digits and one or two letters; the second letter (A, B, H, W, T or X) counts nine times, except W, T and X.
fn ie_pps(text: &str, _: Option<PartialDate>) -> Outcome {
    if text.len() != 8 && text.len() != 9 {
        return Err(Reason::Length);
    }
    let digits = all_digits(piece(text, 0, 7)?)?;
    const LETTERS: &str = "WABCDEFGHIJKLMNOPQRSTUV";
    let check = char_at(text, 7)?;
    formed(LETTERS.contains(check))?;
    let second = match text.chars().nth(8) {
        None => 0,
        Some(c @ ('A' | 'B' | 'H')) => LETTERS.find(c).ok_or(Reason::Format)? as i64,
        Some('W' | 'T' | 'X') => 0,
        Some(_) => return Err(Reason::Format),
    };
    let sum = (weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) + 9 * second) % 23;
    passes(LETTERS.chars().nth(sum as usize) == Some(check))?;
    Ok(Facts::default())
}

/// Companies add 40 to the day: no birth date then.
fn is_kennitala(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let century = match at(&digits, 9) {
        9 => 1900,
        0 => 2000,
        _ => return Err(Reason::Format),
    };
    let day = part(text, 0, 2)?;
    let company = day > 40;
    let date = civil(century + part(text, 4, 6)?, part(text, 2, 4)?, if company { day - 40 } else { day })?;
    passes(rest(&digits, &[3, 2, 7, 6, 5, 4, 3, 2, 1], 11) == 0)?;
    Ok(if company { Facts::default() } else { Facts::born(date, None) })
}

fn lu_tva(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    passes(part(text, 0, 6)? % 89 == part(text, 6, 8)?)?;
    Ok(Facts::default())
}

/// The old form holds the birth date; the one given out since July 2017 begins with 32 and holds nothing.
fn lv_pk(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let check = (1 + weighted(&digits, &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9])) % 11 % 10;
    if text.starts_with("32") {
        passes(check == i64::from(at(&digits, 10)))?;
        return Ok(Facts::default());
    }
    let century = match at(&digits, 6) {
        0 => 1800,
        1 => 1900,
        2 => 2000,
        _ => return Err(Reason::Component),
    };
    let date = civil(century + part(text, 4, 6)?, part(text, 2, 4)?, part(text, 0, 2)?)?;
    passes(check == i64::from(at(&digits, 10)))?;
    Ok(Facts::born(date, None))
}

fn lv_pvn(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    if at(&digits, 0) <= 3 {
        return lv_pk(text, today);
    }
    let check = (3 - weighted(&digits, &[9, 1, 4, 8, 3, 10, 2, 5, 7, 6])).rem_euclid(11);
    passes(check == i64::from(at(&digits, 10)))?;
    Ok(Facts::default())
}

/// A citizen's number is a BSN and a suffix; since 2020 sole traders have one that only MOD 97-10 checks.
fn nl_btw(text: &str, _: Option<PartialDate>) -> Outcome {
    let (body, suffix) = text.split_once('B').ok_or(Reason::Format)?;
    let number = all_digits(body)?;
    formed(!number.is_empty() && suffix.len() == 2 && suffix.bytes().all(|b| b.is_ascii_digit()))?;
    if body.len() > 9 {
        return Err(Reason::Length);
    }
    possible(suffix != "00" && number.iter().any(|digit| *digit > 0))?;
    let body = format!("{body:0>9}");
    let bsn = as_kind("nl.bsn", &body, None).is_ok();
    let new = crate::algorithms::mod_97_10(&format!("NL{body}B{suffix}")) == Some(1);
    passes(bsn || new)?;
    Ok(Facts { normalized: Some(format!("{body}B{suffix}")), ..Facts::default() })
}

fn nl_onderwijsnummer(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    formed(text.starts_with("10"))?;
    passes(rest(&digits, &[9, 8, 7, 6, 5, 4, 3, 2, -1], 11) == 5)?;
    Ok(Facts::default())
}

/// D-numbers add 40 to the day, help numbers 40 to the month; the individual number tells the century.
fn no_fodselsnummer(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let first = (11 - rest(&digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2], 11)) % 11;
    let second = (11 - rest(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2], 11)) % 11;
    passes(first == i64::from(at(&digits, 9)) && second == i64::from(at(&digits, 10)))?;
    let (mut day, mut month, yy, individual) =
        (part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?, part(text, 6, 9)?);
    if day >= 80 {
        // An FH-number: a serial of the health services.
        return Err(Reason::Component);
    }
    day -= if day > 40 { 40 } else { 0 };
    month -= if month > 40 { 40 } else { 0 };
    let century = match (individual, yy) {
        (0..=499, _) => 1900,
        (500..=749, 54..) => 1800,
        (500..=999, 0..=39) => 2000,
        (900..=999, 40..) => 1900,
        _ => return Err(Reason::Component),
    };
    let date = not_after(civil(century + yy, month, day)?, today)?;
    Ok(Facts::born(date, odd_is_male(at(&digits, 8))))
}

fn no_kontonr(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    match text.len() {
        7 => passes(luhn_ok(text))?,
        11 if text.starts_with("0000") => passes(luhn_ok(piece(text, 4, 11)?))?,
        11 => passes(rest(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1], 11) == 0)?,
        _ => return Err(Reason::Length),
    }
    Ok(Facts::default())
}

fn no_mva(text: &str, _: Option<PartialDate>) -> Outcome {
    let body = text.strip_suffix("MVA").ok_or(Reason::Format)?;
    as_kind("no.orgnr", body, None)
}

/// The month tells the century: + 80 1800s, + 20 2000s, + 40 2100s, + 60 2200s.
fn pl_pesel(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let (yy, month, day) = (part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?);
    let century = match month / 20 {
        4 => 1800,
        step => 1900 + step * 100,
    };
    let date = civil(century + yy, month % 20, day)?;
    passes(rest(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1], 10) == 0)?;
    Ok(Facts::born(date, odd_is_male(at(&digits, 9))))
}

fn pl_regon(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let short = rest(&digits, &[8, 9, 2, 3, 4, 5, 6, 7], 11) % 10;
    passes(short == i64::from(at(&digits, 8)))?;
    if text.len() == 14 {
        let long = rest(&digits, &[2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8], 11) % 10;
        passes(long == i64::from(at(&digits, 13)))?;
    }
    Ok(Facts::default())
}

fn ru_inn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    match text.len() {
        10 => {
            let check = rest(&digits, &[2, 4, 10, 3, 5, 9, 4, 6, 8], 11) % 10;
            passes(check == i64::from(at(&digits, 9)))?;
        }
        12 => {
            let first = rest(&digits, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8], 11) % 10;
            let second = rest(&digits, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8], 11) % 10;
            passes(first == i64::from(at(&digits, 10)) && second == i64::from(at(&digits, 11)))?;
        }
        _ => return Err(Reason::Length),
    }
    Ok(Facts::default())
}

fn ru_ogrn(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    let modulus = match text.len() {
        13 => 11,
        15 => 13,
        _ => return Err(Reason::Length),
    };
    possible((text.len() == 15) == text.starts_with(['3', '4']) || text.len() == 13)?;
    let (body, last) = split_last(text)?;
    let left = modulo(body, modulus).ok_or(Reason::Format)? % 10;
    passes(Some(left as u32) == last.to_digit(10))?;
    Ok(Facts::default())
}

/// Numbers up to 001-001-998 carry no check digits.
fn ru_snils(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    if part(text, 0, 9)? > 1_001_998 {
        let sum = weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100;
        passes(sum == i64::from(part(text, 9, 11)?))?;
    }
    Ok(Facts::default())
}

/// Ten or twelve digits; `+` before the serial says the person is over a hundred. Co-ordination
/// numbers (day + 60) are another kind.
fn se_personnummer(text: &str, today: Option<PartialDate>) -> Outcome {
    let plus = text.contains('+');
    formed(text.is_ascii())?;
    let bare = match text.len().checked_sub(5).and_then(|place| text.get(place..place + 1)) {
        Some("-" | "+") => {
            format!("{}{}", piece(text, 0, text.len() - 5)?, piece(text, text.len() - 4, text.len())?)
        }
        _ => text.to_owned(),
    };
    all_digits(&bare)?;
    let (century, short) = match bare.len() {
        10 => (None, bare.as_str()),
        12 => (Some(part(&bare, 0, 2)?), piece(&bare, 2, 12)?),
        _ => return Err(Reason::Length),
    };
    let (yy, month, day) = (part(short, 0, 2)?, part(short, 2, 4)?, part(short, 4, 6)?);
    let date = match century {
        Some(century) => not_after(civil(century * 100 + yy, month, day)?, today)?,
        None => {
            let young = recent(yy, month, day, today)?;
            match (plus, young.year) {
                (true, Some(year)) => civil(u32::from(year) - 100, month, day)?,
                _ => young,
            }
        }
    };
    passes(luhn_ok(short))?;
    let sign = if plus { '+' } else { '-' };
    let head = piece(&bare, 0, bare.len() - 4)?;
    let normalized = Some(format!("{head}{sign}{}", piece(&bare, bare.len() - 4, bare.len())?));
    Ok(Facts { birth_date: Some(date), sex: odd_is_male(part(short, 8, 9)?), normalized })
}

fn se_vat(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(text.ends_with("01"))?;
    all_digits(text)?;
    passes(luhn(piece(text, 0, 10)?, "0123456789") == Some(0))?;
    Ok(Facts::default())
}

fn sk_dph(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    formed(matches!(at(&digits, 2), 2 | 3 | 4 | 7 | 8 | 9))?;
    passes(pure(text, 10, 11, "0123456789") == Some(0))?;
    Ok(Facts::default())
}

fn ua_edrpou(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let number = part(text, 0, 8)?;
    let (first, second): ([i64; 7], [i64; 7]) = if (30_000_000..=60_000_000).contains(&number) {
        ([7, 1, 2, 3, 4, 5, 6], [9, 3, 4, 5, 6, 7, 8])
    } else {
        ([1, 2, 3, 4, 5, 6, 7], [3, 4, 5, 6, 7, 8, 9])
    };
    let mut check = rest(&digits, &first, 11);
    if check == 10 {
        check = rest(&digits, &second, 11) % 10;
    }
    passes(check == i64::from(at(&digits, 7)))?;
    Ok(Facts::default())
}

/// The first five digits count the days since 31 December 1899; the ninth tells the sex.
fn ua_rntrc(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let check = rest(&digits, &[-1, 5, 7, 9, 4, 6, 10, 5, 7], 11) % 10;
    passes(check == i64::from(at(&digits, 9)))?;
    let birth_date = day_since_1899(part(text, 0, 5)?).and_then(|date| not_after(date, today).ok());
    Ok(Facts { birth_date, sex: birth_date.and_then(|_| odd_is_male(at(&digits, 8))), normalized: None })
}

fn day_since_1899(mut days: u32) -> Option<PartialDate> {
    if days == 0 {
        return None;
    }
    for year in 1900..2200 {
        for month in 1..=12 {
            let length = (28..=31).rev().find(|day| civil(year, month, *day).is_ok()).unwrap_or(28);
            if days <= length {
                return civil(year, month, days).ok();
            }
            days -= length;
        }
    }
    None
}
