//! Africa, Australia and New Zealand.

use super::*;
use crate::date::{not_after, recent};

pub(super) fn function(id: &str) -> Option<Function> {
    Some(match id {
        "au.abn" => au_abn,
        "au.tfn" => au_tfn,
        "ke.pin" => ke_pin,
        "mu.nid" => mu_nid,
        "nz.ird" => nz_ird,
        "tn.mf" => tn_mf,
        "za.idnr" => za_idnr,
        "za.tin" => za_tin,
        _ => return None,
    })
}

fn au_abn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let sum = weighted(&digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10;
    passes(sum.rem_euclid(89) == 0)?;
    Ok(Facts::default())
}

fn au_tfn(text: &str, _: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    passes(rest(&digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10], 11) == 0)?;
    Ok(Facts::default())
}

fn ke_pin(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(like(text, "A999999999A") && text.starts_with(['A', 'P']))?;
    Ok(Facts::default())
}

/// First letter of the surname, date of birth, serial, check modulo 17.
fn mu_nid(text: &str, today: Option<PartialDate>) -> Outcome {
    formed(like(text, "A999999999999*") || like(text, "A99999999999**"))?;
    let mut sum = 0;
    for (place, c) in text.chars().take(13).enumerate() {
        sum += c.to_digit(36).ok_or(Reason::Format)? * (14 - place as u32);
    }
    let date = recent(part(text, 5, 7)?, part(text, 3, 5)?, part(text, 1, 3)?, today)?;
    let wanted = "0123456789ABCDEFG".chars().nth(((17 - sum % 17) % 17) as usize);
    passes(wanted == Some(char_at(text, 13)?))?;
    Ok(Facts::born(date, None))
}

/// From 10-000-000 to 150-000-000; a first check of ten asks the second weights.
fn nz_ird(text: &str, _: Option<PartialDate>) -> Outcome {
    if text.len() != 9 {
        return Err(Reason::Length);
    }
    let digits = all_digits(text)?;
    let number = part(text, 0, 9)?;
    if number < 10_000_000 {
        return Err(Reason::Length);
    }
    possible(number < 150_000_000)?;
    let first = (11 - rest(&digits, &[3, 2, 7, 6, 5, 4, 3, 2], 11)) % 11;
    let check = if first == 10 { (11 - rest(&digits, &[7, 4, 3, 2, 5, 2, 7, 6], 11)) % 11 } else { first };
    passes(check == i64::from(at(&digits, 8)))?;
    Ok(Facts { normalized: Some(text.strip_prefix('0').unwrap_or(text).to_owned()), ..Facts::default() })
}

/// Seven digits and a key letter (without I, O and U); then regime, category and establishment.
fn tn_mf(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(text.is_ascii())?;
    let body = text.bytes().take_while(u8::is_ascii_digit).count();
    let padded = format!("{}{}", "0".repeat(7_usize.saturating_sub(body)), text);
    if padded.len() != 8 && padded.len() != 13 {
        return Err(Reason::Length);
    }
    formed(like(piece(&padded, 0, 8)?, "9999999A"))?;
    formed(!"IOU".contains(char_at(&padded, 7)?))?;
    if padded.len() == 13 {
        formed("ABDNP".contains(char_at(&padded, 8)?) && "CEMNP".contains(char_at(&padded, 9)?))?;
        let branch = part(&padded, 10, 13)?;
        possible(char_at(&padded, 9)? == 'E' || branch == 0)?;
    }
    Ok(Facts { normalized: Some(padded), ..Facts::default() })
}

/// Serials from 5000 are men's; the eleventh digit tells citizens (0), residents (1) and refugees (2).
fn za_idnr(text: &str, today: Option<PartialDate>) -> Outcome {
    let digits = all_digits(text)?;
    let date = not_after(recent(part(text, 0, 2)?, part(text, 2, 4)?, part(text, 4, 6)?, today)?, today)?;
    possible(at(&digits, 10) <= 2)?;
    passes(luhn_ok(text))?;
    Ok(Facts::born(date, Some(if at(&digits, 6) >= 5 { Sex::Male } else { Sex::Female })))
}

fn za_tin(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    formed(text.starts_with(['0', '1', '2', '3', '9']))?;
    passes(luhn_ok(text))?;
    Ok(Facts::default())
}
