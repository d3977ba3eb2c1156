//! Numbers of no one country.

use super::*;
use crate::algorithms::{luhn, mod_97_10};

pub(super) fn function(id: &str) -> Option<Function> {
    Some(match id {
        "iban" => iban,
        "imei" => imei,
        "meid" => meid,
        _ => return None,
    })
}

/// Lengths per country of the SWIFT IBAN registry.
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 \
    DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 \
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 \
    PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// ISO 13616: four characters to the end, then MOD 97-10.
pub(super) fn iban(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()))?;
    if !(15..=34).contains(&text.len()) {
        return Err(Reason::Length);
    }
    let country = piece(text, 0, 2)?;
    formed(country.bytes().all(|b| b.is_ascii_uppercase()))?;
    all_digits(piece(text, 2, 4)?)?;
    let length = IBAN_LENGTHS
        .split_whitespace()
        .find_map(|entry| entry.strip_prefix(country))
        .ok_or(Reason::Component)?;
    if length.parse() != Ok(text.len()) {
        return Err(Reason::Length);
    }
    passes(mod_97_10(&format!("{}{}", piece(text, 4, text.len())?, piece(text, 0, 4)?)) == Some(1))?;
    Ok(Facts::default())
}

/// Fourteen digits stand without a check, fifteen with, sixteen with a software version in its place (3GPP TS 23.003 §6.2).
fn imei(text: &str, _: Option<PartialDate>) -> Outcome {
    all_digits(text)?;
    match text.len() {
        14 | 16 => {}
        15 => passes(luhn_ok(text))?,
        _ => return Err(Reason::Length),
    }
    Ok(Facts::default())
}

/// Fourteen hexadecimal digits or eighteen decimal ones, each with or without a check digit; the normal form is the
/// hexadecimal one without.
fn meid(text: &str, _: Option<PartialDate>) -> Outcome {
    formed(text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let hexadecimal = match text.len() {
        14 => text.to_owned(),
        15 => {
            let body = piece(text, 0, 14)?;
            let decimal = body.bytes().all(|b| b.is_ascii_digit());
            passes(luhn(text, if decimal { "0123456789" } else { "0123456789ABCDEF" }) == Some(0))?;
            body.to_owned()
        }
        18 | 19 => {
            all_digits(text)?;
            passes(text.len() == 18 || luhn_ok(text))?;
            let maker: u32 = piece(text, 0, 10)?.parse().map_err(|_| Reason::Component)?;
            let serial = part(text, 10, 18)?;
            // 3GPP2 S.R0048-A: the last eight digits write 24 bits.
            possible(serial < 1 << 24)?;
            format!("{maker:08X}{serial:06X}")
        }
        _ => return Err(Reason::Length),
    };
    Ok(Facts { normalized: Some(hexadecimal), ..Facts::default() })
}
