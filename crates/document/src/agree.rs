//! Whether two readings of one value say the same, told apart from a misreading.

use crate::fold::{edit_distance, fold, look_alike, squeeze};

/// How two readings stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// The same value.
    Same,
    /// Differs as a misreading would: look-alike characters, one slip in a long name.
    Close,
    /// Another value.
    Different,
}

/// Numbers: exact without separators; look-alikes are close.
pub(crate) fn numbers(a: &str, b: &str) -> Agreement {
    if squeeze(a) == squeeze(b) {
        Agreement::Same
    } else if look_alike(a) == look_alike(b) {
        Agreement::Close
    } else {
        Agreement::Different
    }
}

/// Forms in which a zone may write a printed name (ICAO Doc 9303-3 §6), spaces between parts.
fn admissible(viz: &str) -> Vec<String> {
    names::icao::admissible_forms(viz)
        .into_iter()
        .map(|form| form.replace('<', " ").trim().to_owned())
        .collect()
}

/// The part of a printed name that is the zone's, where a name is printed in two scripts ("ТКАЧЕНКО/TKACHENKO");
/// else all of it.
pub(crate) fn part_that_agrees<'a>(viz: &'a str, mrz: &str) -> &'a str {
    let mut parts = viz.split('/').map(str::trim).filter(|part| !part.is_empty());
    parts.find(|part| name(part, mrz) == Agreement::Same).unwrap_or(viz)
}

/// Names: a printed name against the MRZ's form of it, which may be transliterated or cut off; printed in two scripts,
/// one of them must be it.
pub(crate) fn names(viz: &str, mrz: &str) -> Agreement {
    name(part_that_agrees(viz, mrz), mrz)
}

fn name(viz: &str, mrz: &str) -> Agreement {
    let mrz = fold(mrz);
    if mrz.is_empty() || viz.trim().is_empty() {
        return Agreement::Different;
    }
    let forms = admissible(viz);
    if forms.iter().any(|f| *f == mrz || f.replace(' ', "") == mrz.replace(' ', "")) {
        return Agreement::Same;
    }
    let cut = |f: &String| mrz.len() >= 8 && f.starts_with(&mrz);
    if forms.iter().any(cut) {
        return Agreement::Same;
    }
    let slips = (mrz.chars().count() / 5).max(usize::from(mrz.len() >= 4));
    if forms.iter().any(|f| edit_distance(&f.replace(' ', ""), &mrz.replace(' ', ""), slips).is_some()) {
        return Agreement::Close;
    }
    Agreement::Different
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_names_agree_with_their_admissible_mrz_forms() {
        for (viz, mrz) in [
            ("ÖZDEMIR", "OEZDEMIR"),
            ("Łucja", "LUCJA"),
            ("ÅNGSTRÖM", "AANGSTROEM"),
            ("Søren", "SOEREN"),
            ("D'Ávila-Núñez", "DAVILA NUNEZ"),
            ("José", "JOSE"),
        ] {
            assert_eq!(names(viz, mrz), Agreement::Same, "{viz} {mrz}");
        }
        assert_eq!(names("TKAYEHKO/TKACHENKO", "TKACHENKO"), Agreement::Same);
        assert_eq!(part_that_agrees("TKAYEHKO/ TKACHENKO", "TKACHENKO"), "TKACHENKO");
        assert_eq!(part_that_agrees("OKAFOR", "SMITH"), "OKAFOR");
        assert_eq!(names("TKAYEHKO/TKACHENKO", "SMITH"), Agreement::Different);
        assert_eq!(names("JULIETTE HENRIKE SOPHIE", "JULIETTE HENRIKE SOPHI"), Agreement::Same);
    }

    #[test]
    fn a_misread_letter_is_close_and_another_name_is_different() {
        assert_eq!(names("OKAF0R", "OKAFOR"), Agreement::Close);
        assert_eq!(names("SMITH", "OKAFOR"), Agreement::Different);
        assert_eq!(numbers("NR7MZPCG1", "NR7MZPCGI"), Agreement::Close);
        assert_eq!(numbers("NR7 MZPCG1", "NR7MZPCG1"), Agreement::Same);
        assert_eq!(numbers("NR7MZPCG1", "NR7MZPCG2"), Agreement::Different);
    }
}
