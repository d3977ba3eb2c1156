//! The shapes of machine readable zones: which field stands where, and what each check digit covers.
//!
//! Everything else in the crate (parsing, repair, decoding of a recogniser's
//! output) reads these tables, so that a format is described once. Positions
//! count from 0, Doc 9303 counts from 1.

use serde::Serialize;

/// The formats known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub enum Format {
    /// Cards of ID-1 size, 3 × 30 (Doc 9303-5 §4.2.2).
    #[serde(rename = "TD1")]
    Td1,
    /// Cards of ID-2 size, 2 × 36 (Doc 9303-6 §4.2.2).
    #[serde(rename = "TD2")]
    Td2,
    /// Passport booklets, 2 × 44 (Doc 9303-4 §4.2.2).
    #[serde(rename = "TD3")]
    Td3,
    /// Visas, 2 × 44 (Doc 9303-7 §4.2).
    #[serde(rename = "MRVA")]
    MrvA,
    /// Visas, 2 × 36 (Doc 9303-7 §5.2).
    #[serde(rename = "MRVB")]
    MrvB,
    /// The French national identity card of 1988–2021, 2 × 36, with a layout of its own.
    #[serde(rename = "FRENCH_ID")]
    FrenchId,
    /// The Slovak identity card before 2006, 2 × 34: TD2 without a composite digit.
    #[serde(rename = "SLOVAK_ID")]
    SlovakId,
    /// The Swiss driving licence, 9 + 30 + 30, without check digits.
    #[serde(rename = "SWISS_DL")]
    SwissLicence,
    /// The French driving licence, 1 × 30 (`D1FRA`).
    #[serde(rename = "FRENCH_DL")]
    FrenchLicence,
    /// Driving licences with the one-line zone of ISO/IEC 18013-3 (BAP), 1 × 30.
    #[serde(rename = "DL")]
    Licence,
}

/// What a field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// `P<`, `ID`, `AC` …
    DocumentCode,
    /// Issuing state or organisation.
    IssuingState,
    /// Primary and secondary identifier with their separator.
    Names,
    /// Primary identifier alone (French cards).
    Surname,
    /// Secondary identifier alone (French cards).
    GivenNames,
    /// Document number.
    DocumentNumber,
    /// Nationality of the holder.
    Nationality,
    /// Date of birth.
    BirthDate,
    /// Sex.
    Sex,
    /// Date of expiry.
    ExpiryDate,
    /// Optional data, or the personal number of TD3.
    Optional,
    /// The second optional field of TD1.
    Optional2,
    /// Year and month of issue (French identity card).
    IssueMonth,
    /// The check digit over the field named second to it in [`Layout::checks`].
    CheckDigit,
    /// A constant of the format, such as `<<`.
    Constant,
}

impl Kind {
    /// The name used in reports and in `errors`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DocumentCode => "document type",
            Self::IssuingState => "country code",
            Self::Names => "identifier",
            Self::Surname => "surname",
            Self::GivenNames => "name",
            Self::DocumentNumber => "document number",
            Self::Nationality => "nationality code",
            Self::BirthDate => "birth date",
            Self::Sex => "sex",
            Self::ExpiryDate => "expiry date",
            Self::Optional => "optional data",
            Self::Optional2 => "optional data 2",
            Self::IssueMonth => "issue date",
            Self::CheckDigit => "hash",
            Self::Constant => "filler",
        }
    }
}

/// A run of characters: line, first position, length.
pub type Span = (usize, usize, usize);

/// A field of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Meaning.
    pub kind: Kind,
    /// Place.
    pub span: Span,
}

/// A check digit of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// The field it proves; `None` for the composite digit.
    pub of: Option<Kind>,
    /// Where it stands.
    pub at: (usize, usize),
    /// What it covers, in order.
    pub over: &'static [Span],
    /// Whether a filler may stand for it when the field is empty (Doc 9303-4 §4.2.2.2, personal number).
    pub filler_if_empty: bool,
}

/// The table of one format.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Length of each line.
    pub lengths: &'static [usize],
    /// All fields in reading order, without gaps.
    pub fields: &'static [Field],
    /// All check digits: the field's first, the composite last.
    pub checks: &'static [Check],
    /// Whether a document number longer than nine characters runs on into [`Kind::Optional`]
    /// with a filler in place of its check digit (Doc 9303-5 §4.2.2.1 note j, 9303-6 note j).
    pub long_number: bool,
}

const fn field(kind: Kind, line: usize, start: usize, len: usize) -> Field {
    Field { kind, span: (line, start, len) }
}

const fn check(of: Kind, line: usize, at: usize, over: &'static [Span]) -> Check {
    Check { of: Some(of), at: (line, at), over, filler_if_empty: false }
}

const fn composite(line: usize, at: usize, over: &'static [Span]) -> Check {
    Check { of: None, at: (line, at), over, filler_if_empty: false }
}

static TD1: Layout = Layout {
    lengths: &[30, 30, 30],
    fields: &[
        field(Kind::DocumentCode, 0, 0, 2),
        field(Kind::IssuingState, 0, 2, 3),
        field(Kind::DocumentNumber, 0, 5, 9),
        field(Kind::CheckDigit, 0, 14, 1),
        field(Kind::Optional, 0, 15, 15),
        field(Kind::BirthDate, 1, 0, 6),
        field(Kind::CheckDigit, 1, 6, 1),
        field(Kind::Sex, 1, 7, 1),
        field(Kind::ExpiryDate, 1, 8, 6),
        field(Kind::CheckDigit, 1, 14, 1),
        field(Kind::Nationality, 1, 15, 3),
        field(Kind::Optional2, 1, 18, 11),
        field(Kind::CheckDigit, 1, 29, 1),
        field(Kind::Names, 2, 0, 30),
    ],
    checks: &[
        check(Kind::DocumentNumber, 0, 14, &[(0, 5, 9)]),
        check(Kind::BirthDate, 1, 6, &[(1, 0, 6)]),
        check(Kind::ExpiryDate, 1, 14, &[(1, 8, 6)]),
        composite(1, 29, &[(0, 5, 25), (1, 0, 7), (1, 8, 7), (1, 18, 11)]),
    ],
    long_number: true,
};

macro_rules! second_line {
    ($names:expr, $optional:expr $(, $rest:expr)*) => {
        &[
            field(Kind::DocumentCode, 0, 0, 2),
            field(Kind::IssuingState, 0, 2, 3),
            field(Kind::Names, 0, 5, $names),
            field(Kind::DocumentNumber, 1, 0, 9),
            field(Kind::CheckDigit, 1, 9, 1),
            field(Kind::Nationality, 1, 10, 3),
            field(Kind::BirthDate, 1, 13, 6),
            field(Kind::CheckDigit, 1, 19, 1),
            field(Kind::Sex, 1, 20, 1),
            field(Kind::ExpiryDate, 1, 21, 6),
            field(Kind::CheckDigit, 1, 27, 1),
            field(Kind::Optional, 1, 28, $optional),
            $($rest,)*
        ]
    };
}

static TD2: Layout = Layout {
    lengths: &[36, 36],
    fields: second_line!(31, 7, field(Kind::CheckDigit, 1, 35, 1)),
    checks: &[
        check(Kind::DocumentNumber, 1, 9, &[(1, 0, 9)]),
        check(Kind::BirthDate, 1, 19, &[(1, 13, 6)]),
        check(Kind::ExpiryDate, 1, 27, &[(1, 21, 6)]),
        composite(1, 35, &[(1, 0, 10), (1, 13, 7), (1, 21, 14)]),
    ],
    long_number: true,
};

static TD3: Layout = Layout {
    lengths: &[44, 44],
    fields: second_line!(39, 14, field(Kind::CheckDigit, 1, 42, 1), field(Kind::CheckDigit, 1, 43, 1)),
    checks: &[
        check(Kind::DocumentNumber, 1, 9, &[(1, 0, 9)]),
        check(Kind::BirthDate, 1, 19, &[(1, 13, 6)]),
        check(Kind::ExpiryDate, 1, 27, &[(1, 21, 6)]),
        Check { of: Some(Kind::Optional), at: (1, 42), over: &[(1, 28, 14)], filler_if_empty: true },
        composite(1, 43, &[(1, 0, 10), (1, 13, 7), (1, 21, 22)]),
    ],
    long_number: false,
};

macro_rules! visa_checks {
    () => {
        &[
            check(Kind::DocumentNumber, 1, 9, &[(1, 0, 9)]),
            check(Kind::BirthDate, 1, 19, &[(1, 13, 6)]),
            check(Kind::ExpiryDate, 1, 27, &[(1, 21, 6)]),
        ]
    };
}

static MRV_A: Layout =
    Layout { lengths: &[44, 44], fields: second_line!(39, 16), checks: visa_checks!(), long_number: false };
static MRV_B: Layout =
    Layout { lengths: &[36, 36], fields: second_line!(31, 8), checks: visa_checks!(), long_number: false };
static SLOVAK_ID: Layout =
    Layout { lengths: &[34, 34], fields: second_line!(29, 6), checks: visa_checks!(), long_number: false };

static FRENCH_ID: Layout = Layout {
    lengths: &[36, 36],
    fields: &[
        field(Kind::DocumentCode, 0, 0, 2),
        field(Kind::IssuingState, 0, 2, 3),
        field(Kind::Surname, 0, 5, 25),
        field(Kind::Optional, 0, 30, 6),
        field(Kind::IssueMonth, 1, 0, 4),
        field(Kind::DocumentNumber, 1, 4, 8),
        field(Kind::CheckDigit, 1, 12, 1),
        field(Kind::GivenNames, 1, 13, 14),
        field(Kind::BirthDate, 1, 27, 6),
        field(Kind::CheckDigit, 1, 33, 1),
        field(Kind::Sex, 1, 34, 1),
        field(Kind::CheckDigit, 1, 35, 1),
    ],
    checks: &[
        check(Kind::DocumentNumber, 1, 12, &[(1, 0, 12)]),
        check(Kind::BirthDate, 1, 33, &[(1, 27, 6)]),
        composite(1, 35, &[(0, 0, 36), (1, 0, 35)]),
    ],
    long_number: false,
};

static SWISS_LICENCE: Layout = Layout {
    lengths: &[9, 30, 30],
    fields: &[
        field(Kind::Optional, 0, 0, 7),
        field(Kind::Constant, 0, 7, 2),
        field(Kind::DocumentCode, 1, 0, 2),
        field(Kind::IssuingState, 1, 2, 3),
        field(Kind::DocumentNumber, 1, 5, 12),
        field(Kind::Constant, 1, 17, 2),
        field(Kind::BirthDate, 1, 19, 6),
        field(Kind::Constant, 1, 25, 5),
        field(Kind::Names, 2, 0, 30),
    ],
    checks: &[],
    long_number: false,
};

static FRENCH_LICENCE: Layout = Layout {
    lengths: &[30],
    fields: &[
        field(Kind::DocumentCode, 0, 0, 2),
        field(Kind::IssuingState, 0, 2, 3),
        field(Kind::DocumentNumber, 0, 5, 9),
        field(Kind::CheckDigit, 0, 14, 1),
        field(Kind::ExpiryDate, 0, 15, 6),
        field(Kind::Surname, 0, 21, 8),
        field(Kind::CheckDigit, 0, 29, 1),
    ],
    checks: &[check(Kind::DocumentNumber, 0, 14, &[(0, 0, 14)]), composite(0, 29, &[(0, 0, 29)])],
    long_number: false,
};

static LICENCE: Layout = Layout {
    lengths: &[30],
    fields: &[
        field(Kind::DocumentCode, 0, 0, 2),
        field(Kind::IssuingState, 0, 2, 3),
        field(Kind::DocumentNumber, 0, 5, 24),
        field(Kind::CheckDigit, 0, 29, 1),
    ],
    checks: &[composite(0, 29, &[(0, 0, 29)])],
    long_number: false,
};

impl Format {
    /// All formats, the commonest first.
    pub const ALL: [Self; 10] = [
        Self::Td3,
        Self::Td1,
        Self::Td2,
        Self::MrvA,
        Self::MrvB,
        Self::FrenchId,
        Self::SlovakId,
        Self::SwissLicence,
        Self::FrenchLicence,
        Self::Licence,
    ];

    /// The table of this format.
    #[must_use]
    pub const fn layout(self) -> &'static Layout {
        match self {
            Self::Td1 => &TD1,
            Self::Td2 => &TD2,
            Self::Td3 => &TD3,
            Self::MrvA => &MRV_A,
            Self::MrvB => &MRV_B,
            Self::FrenchId => &FRENCH_ID,
            Self::SlovakId => &SLOVAK_ID,
            Self::SwissLicence => &SWISS_LICENCE,
            Self::FrenchLicence => &FRENCH_LICENCE,
            Self::Licence => &LICENCE,
        }
    }

    /// As it stands in JSON: `TD1`, `MRVA`, `FRENCH_ID` …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Td1 => "TD1",
            Self::Td2 => "TD2",
            Self::Td3 => "TD3",
            Self::MrvA => "MRVA",
            Self::MrvB => "MRVB",
            Self::FrenchId => "FRENCH_ID",
            Self::SlovakId => "SLOVAK_ID",
            Self::SwissLicence => "SWISS_DL",
            Self::FrenchLicence => "FRENCH_DL",
            Self::Licence => "DL",
        }
    }

    /// Whether the first line of a document can begin like this in this format.
    #[must_use]
    pub fn begins(self, first_line: &str) -> bool {
        let bytes = first_line.as_bytes();
        let first = bytes.first().copied().unwrap_or(0);
        match self {
            Self::MrvA | Self::MrvB => first == b'V',
            Self::FrenchId => first_line.starts_with("IDFRA"),
            Self::FrenchLicence => first_line.starts_with("D1FRA"),
            Self::Licence => first == b'D' && !first_line.starts_with("D1FRA"),
            Self::SwissLicence => first_line.len() == 9,
            Self::Td3 => first != b'V',
            // ICAO Doc 9303-5 and 9303-6, 4.2.2: A, C or I. A passport whose right end was cut off is none of these.
            Self::Td1 | Self::Td2 => matches!(first, b'I' | b'A' | b'C'),
            // Without a composite digit any two lines cut to this length would fit: only its own state counts.
            Self::SlovakId => first == b'I' && first_line.get(2..5) == Some("SVK"),
        }
    }

    /// The formats whose lines have these lengths.
    pub fn of_lengths(lengths: &[usize]) -> impl Iterator<Item = Self> + '_ {
        Self::ALL.into_iter().filter(move |f| f.layout().lengths == lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn a_passport_cut_short_is_no_card() {
        let passport = "P<XGAOKAFOR<<LUCJA<<<<<<<<<<<<<<<<<<<<<<<<<<";
        assert!(Format::Td3.begins(passport));
        assert!(!Format::SlovakId.begins(&passport[..34]));
        assert!(!Format::Td2.begins(&passport[..36]));
        assert!(!Format::SlovakId.begins("I<DEUMUSTERMANN<<ERIKA<<<<<<<<<<<<"));
        assert!(Format::SlovakId.begins("I<SVKNOVAK<<JAN<<<<<<<<<<<<<<<<<<<"));
    }

    #[test]
    fn every_table_covers_its_lines_without_gap_or_overlap() {
        for format in Format::ALL {
            let layout = format.layout();
            let mut covered: Vec<Vec<bool>> = layout.lengths.iter().map(|n| vec![false; *n]).collect();
            for field in layout.fields {
                let (line, start, len) = field.span;
                for (at, slot) in covered[line].iter_mut().enumerate().skip(start).take(len) {
                    assert!(!std::mem::replace(slot, true), "{format:?} {field:?} {at}");
                }
            }
            assert!(covered.iter().flatten().all(|c| *c), "{format:?}");
            for check in layout.checks {
                assert!(check.at.1 < layout.lengths[check.at.0]);
                for (line, start, len) in check.over {
                    assert!(start + len <= layout.lengths[*line], "{format:?} {check:?}");
                }
            }
        }
    }
}
