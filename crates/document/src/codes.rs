//! What barcodes say: the holder's data in a payload, and the seals of issuers.
//!
//! AAMVA payloads and the national ones of `barcode::national` become values under the record's names. A seal is read
//! here and held against the zone in `signals`; whether its signature holds is known only to [`crate::SealSigners`].

use std::collections::BTreeMap;

use barcode::national::NationalPayload;
use imaging::RgbImage;

use crate::page::Page;
use crate::record::{Barcode, Side};
use crate::seals::Seal;

/// The holder's data in a barcode, in the record's terms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payload {
    pub(crate) document_type: &'static str,
    pub(crate) country: String,
    /// Field name to normalised value.
    pub(crate) values: BTreeMap<&'static str, String>,
    /// What its structure violates.
    pub(crate) faults: Vec<String>,
}

/// How long a side is searched for barcodes: pixels looked at, in millions. Before, a whole search had 40 and 60, screens
/// too, and a quick one 4: the 63 pictures of mrz_specimens and filled_docs and the 6 of aamva_card_photos gave the same
/// barcodes, for 66 CPU ms a picture of the 63 instead of 32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// On the upright page.
    page: f32,
    /// On the photo, where the page shows none: its outline may have cut the code off.
    photo: f32,
}

impl Patience {
    /// For a side that nothing says carries one.
    pub(crate) const QUICK: Self = Self { page: 1.0, photo: 0.0 };
    /// For a photo of a screen, where moiré looks like bars all over.
    pub(crate) const SCREEN: Self = Self { page: 6.0, photo: 6.0 };
    pub(crate) const WHOLE: Self = Self { page: 24.0, photo: 36.0 };
}

/// Barcodes of a side, and the holder's data among them: an AAMVA payload before a national one.
pub(crate) fn read_barcodes(
    side: Side,
    page: &Page,
    photo: Option<&RgbImage>,
    patience: Patience,
) -> (Vec<Barcode>, Option<Payload>) {
    let look = |image: &RgbImage, budget: f32| {
        let grey = imaging::grey(image);
        let view = barcode::GrayView { width: grey.width(), height: grey.height(), pixels: grey.as_raw() };
        barcode::read(view, &barcode::Options { budget_megapixels: budget, ..barcode::Options::default() })
    };
    let mut found = look(&page.image, patience.page);
    if found.is_empty()
        && patience.photo > 0.0
        && let Some(photo) = photo.filter(|_| page.quad.is_some())
    {
        found = look(photo, patience.photo);
    }
    let aamva = found.iter().find_map(|b| {
        barcode::aamva::looks_like(&b.bytes).then(|| barcode::aamva::parse(&b.bytes).ok()).flatten()
    });
    let national: Vec<_> = found.iter().map(|b| barcode::national::parse(&b.bytes)).collect();
    let barcodes = found
        .iter()
        .zip(&national)
        .map(|(b, national)| Barcode {
            kind: serde_json::to_value(b.format)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default(),
            side,
            payload: if barcode::aamva::looks_like(&b.bytes) {
                Some("aamva".to_owned())
            } else {
                national.as_ref().map(|n| n.kind.to_owned())
            },
            seal: Seal::of(&b.bytes),
            data: b.text.clone(),
        })
        .collect();
    let national = national.iter().flatten().find_map(national_values);
    (barcodes, aamva.map(|a| aamva_values(&a)).or(national))
}

/// AAMVA elements as fields of the record.
fn aamva_values(aamva: &barcode::aamva::Aamva) -> Payload {
    let mut values: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut put = |name: &'static str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.trim().is_empty()) {
            values.insert(name, value);
        }
    };
    put("last_name", aamva.family_name.clone());
    let given: Vec<&str> =
        [&aamva.first_name, &aamva.middle_names].into_iter().flatten().map(String::as_str).collect();
    put("first_name", Some(given.join(" ")));
    put("document_number", aamva.document_number.clone());
    put("date_of_birth", aamva.birth_date.map(|d| d.to_string()));
    put("date_of_issue", aamva.issue_date.map(|d| d.to_string()));
    put("expiration_date", aamva.expiry_date.map(|d| d.to_string()));
    put("gender", aamva.sex.map(str::to_owned));
    put("height", aamva.height_cm.map(|h| format!("{h} cm")));
    put("eye_color", aamva.eye_colour.map(str::to_owned));
    let a = &aamva.address;
    let place = [&a.city, &a.state, &a.postal_code]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    let lines: Vec<&str> = [a.street.as_deref(), a.street_2.as_deref(), Some(place.as_str())]
        .into_iter()
        .flatten()
        .filter(|l| !l.is_empty())
        .collect();
    put("address", Some(lines.join(", ")));
    put("dl_categories", aamva.vehicle_class.clone());
    put("restrictions", aamva.restrictions.clone());
    put("endorsements", aamva.endorsements.clone());
    put("document_discriminator", aamva.document_discriminator.clone());
    put("region", aamva.jurisdiction.clone());
    let document_type = match aamva.document_type {
        "id_card" => "Identity Card",
        _ => "Driver's License",
    };
    let faults = aamva.warnings.iter().map(|w| w.code.to_owned()).collect();
    Payload {
        document_type,
        country: aamva.country.clone().unwrap_or_else(|| "USA".to_owned()),
        values,
        faults,
    }
}

/// Names of national payloads and of the record.
const NATIONAL: [(&str, &str); 11] = [
    ("family_name", "last_name"),
    ("full_name", "full_name"),
    ("document_number", "document_number"),
    ("national_number", "personal_number"),
    ("birth_date", "date_of_birth"),
    ("issue_date", "date_of_issue"),
    ("expiry_date", "expiration_date"),
    ("sex", "gender"),
    ("birth_place", "place_of_birth"),
    ("blood_type", "blood_group"),
    ("address", "address"),
];

/// A national payload as fields of the record; the country stands at the head of its kind.
fn national_values(payload: &NationalPayload) -> Option<Payload> {
    let state = mrz::country::find_alpha2(&payload.kind.get(..2)?.to_uppercase())?;
    let get = |name: &str| payload.fields.get(name).map(String::as_str).filter(|v| !v.trim().is_empty());
    let mut values: BTreeMap<&'static str, String> = NATIONAL
        .iter()
        .filter_map(|(theirs, ours)| {
            Some((*ours, get(theirs)?.split_whitespace().collect::<Vec<_>>().join(" ")))
        })
        .collect();
    let given: Vec<&str> = [get("given_names"), get("middle_names")].into_iter().flatten().collect();
    if !given.is_empty() {
        values.insert("first_name", given.join(" ").split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if let Some(nationality) = get("nationality").filter(|n| mrz::country::find(n).is_some()) {
        values.insert("nationality", nationality.to_owned());
    }
    let licence = payload.kind.ends_with("driving_licence");
    Some(Payload {
        document_type: if licence { "Driver's License" } else { "Identity Card" },
        country: state.alpha3().to_owned(),
        values,
        faults: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argentine_card_gives_the_record_s_fields() {
        let payload =
            barcode::national::parse(b"00123456789@PEREZ@JUAN  CARLOS@M@12345678@A@01/02/1980@03/04/2015");
        let payload = national_values(&payload.expect("a payload")).expect("a country");
        assert_eq!((payload.country.as_str(), payload.document_type), ("ARG", "Identity Card"));
        let value = |name: &str| payload.values.get(name).map(String::as_str);
        assert_eq!(value("last_name"), Some("PEREZ"));
        assert_eq!(value("first_name"), Some("JUAN CARLOS"));
        assert_eq!(value("date_of_birth"), Some("1980-02-01"));
        assert_eq!(value("date_of_issue"), Some("2015-04-03"));
        assert_eq!((value("document_number"), value("gender")), (Some("12345678"), Some("M")));
    }

    #[test]
    fn every_national_kind_names_its_country() {
        for kind in [
            "ar.dni",
            "cl.cedula",
            "co.cedula",
            "in_.aadhaar",
            "ph.philid",
            "za.smart_id",
            "za.driving_licence",
        ] {
            let payload = NationalPayload { kind, fields: BTreeMap::new() };
            assert!(national_values(&payload).is_some(), "{kind}");
        }
    }
}
