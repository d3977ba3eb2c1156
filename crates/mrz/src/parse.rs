//! Reads the lines of a machine readable zone into typed fields.
//!
//! DESIGN. Parsing never guesses and never repairs: what stands there is what
//! is reported, with every check digit computed again. A zone can be well
//! formed and yet wrong, so [`parse`] only refuses what has no shape at all;
//! everything else is a value with its [`Mrz::errors`] and [`Mrz::warnings`].
//! `errors` are violations of Doc 9303 that make the zone invalid (a check
//! digit, an impossible date, a digit in a name); `warnings` are facts that
//! documents in use show (an unknown code of a state, names cut off).

use serde::Serialize;

use crate::check_digit;
use crate::country;
use crate::date::{Meaning, MrzDate, Today};
use crate::format::{Check, Format, Kind, Span};

/// Why text is no machine readable zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A character that no MRZ may hold.
    #[error("line {line} has a character at {pos} that no machine readable zone may hold")]
    ForeignCharacter {
        /// Line, from 0.
        line: usize,
        /// Position, from 0.
        pos: usize,
    },
    /// Number or length of lines fit no format.
    #[error("no machine readable zone has lines of these lengths: {lengths:?}")]
    Shape {
        /// The lengths found (at most the first eight).
        lengths: Vec<usize>,
    },
}

/// Whether a check digit holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// The field proved; `None` for the composite digit.
    pub of: Option<Kind>,
    /// Line of the digit, from 0.
    pub line: usize,
    /// Position of the digit, from 0.
    pub pos: usize,
    /// The character that stands there.
    pub found: char,
    /// The digit computed.
    pub expected: char,
    /// Whether it holds (a filler may stand for the digit of an empty personal number).
    pub holds: bool,
}

/// Sex as the zone gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Sex {
    /// `M`.
    #[serde(rename = "M")]
    Male,
    /// `F`.
    #[serde(rename = "F")]
    Female,
    /// `<`, or `X` as some states print it.
    #[serde(rename = "X")]
    Unspecified,
}

/// A date with the text it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DateField {
    /// Six characters.
    pub raw: String,
    /// `None` when the text is no date.
    pub date: Option<MrzDate>,
}

/// The holder's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Names {
    /// Primary identifier, fillers as spaces.
    pub surname: String,
    /// Secondary identifier, fillers as spaces; empty when there is none.
    pub given_names: String,
    /// The field ends in a letter, so that names may be cut off (Doc 9303-4 §4.2.3).
    pub truncated: bool,
    /// `<<` stands between the two identifiers.
    pub separated: bool,
}

/// A machine readable zone, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mrz {
    /// Format.
    pub format: Format,
    /// The lines as given.
    pub lines: Vec<String>,
    /// `P`, `ID`, `AC` … without fillers.
    pub document_code: String,
    /// Code of the issuing state or organisation without fillers.
    pub issuing_state: String,
    /// Names.
    pub names: Names,
    /// Document number without trailing fillers, the part beyond nine characters included.
    pub document_number: String,
    /// Nationality without fillers; empty where the format has none.
    pub nationality: String,
    /// Date of birth; `None` where the format has none.
    pub birth_date: Option<DateField>,
    /// Date of expiry; `None` where the format has none.
    pub expiry_date: Option<DateField>,
    /// Year and month of issue, `YYMM` (French identity card).
    pub issue_month: Option<String>,
    /// Sex; `None` where the format has none or the character is none of the three.
    pub sex: Option<Sex>,
    /// Optional data without outer fillers (what a long document number uses up left out).
    pub optional: String,
    /// Second optional field of TD1 without outer fillers.
    pub optional2: String,
    /// Every check digit.
    pub checks: Vec<CheckResult>,
    /// Names of the fields that violate the standard; `… hash` means the field's check digit.
    pub errors: Vec<String>,
    /// What deserves a look but violates nothing.
    pub warnings: Vec<String>,
}

impl Mrz {
    /// All check digits hold, dates exist, every field holds only characters it may hold.
    #[must_use]
    pub fn valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// The check digit that stands for a field (`None`: the composite), where the format has one.
    #[must_use]
    pub fn digit(&self, of: Option<Kind>) -> Option<char> {
        self.checks.iter().find(|c| c.of == of).map(|c| c.found)
    }

    /// The issuing state as other systems write it: `D` → `DEU`, `SI` → `SVN`.
    #[must_use]
    pub fn issuing_state_alpha3(&self) -> &str {
        alpha3(&self.issuing_state)
    }

    /// The nationality as other systems write it.
    #[must_use]
    pub fn nationality_alpha3(&self) -> &str {
        alpha3(&self.nationality)
    }

    /// Document number, birth and expiry dates with their digits: what opens the chip (Doc 9303-11 §4.3.2).
    ///
    /// `None` where the format lacks one of them.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        let mut key = format!("{:<<9}", self.document_number);
        key.push(self.digit(Some(Kind::DocumentNumber))?);
        key.push_str(&self.birth_date.as_ref()?.raw);
        key.push(self.digit(Some(Kind::BirthDate))?);
        key.push_str(&self.expiry_date.as_ref()?.raw);
        key.push(self.digit(Some(Kind::ExpiryDate))?);
        Some(key)
    }
}

fn alpha3(code: &str) -> &str {
    country::find(code).or_else(|| country::find_alpha2(code)).map_or(code, |c| c.alpha3())
}

/// Upper-cases, drops white space and turns `«` and `‹` into fillers: what a person pastes becomes a line.
#[must_use]
pub fn clean(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars().filter(|c| !c.is_whitespace()) {
        match c {
            '«' => out.push_str("<<"),
            '‹' => out.push('<'),
            c => out.push(c.to_ascii_uppercase()),
        }
    }
    out
}

/// Reads a zone.
///
/// `lines` are ASCII, upper case, without white space (see [`clean`]); `today`
/// chooses the centuries.
///
/// # Errors
/// [`ParseError`] when no format has such lines.
pub fn parse<S: AsRef<str>>(lines: &[S], today: Today) -> Result<Mrz, ParseError> {
    let lengths: Vec<usize> = lines.iter().take(8).map(|l| l.as_ref().chars().count()).collect();
    let shape = || ParseError::Shape { lengths: lengths.clone() };
    if lines.len() > 3 || lengths.iter().any(|n| *n > 44) {
        return Err(shape());
    }
    for (line, text) in lines.iter().enumerate() {
        if let Some(pos) = text.as_ref().chars().position(|c| check_digit::value(c).is_none()) {
            return Err(ParseError::ForeignCharacter { line, pos });
        }
    }
    let first = lines.first().map_or("", AsRef::as_ref);
    let mut best: Option<Mrz> = None;
    for format in Format::of_lengths(&lengths) {
        let mrz = read(format, lines, today);
        let rank = |m: &Mrz, f: Format| (f.begins(first), std::cmp::Reverse(m.errors.len()));
        if best.as_ref().is_none_or(|b| rank(&mrz, format) > rank(b, b.format)) {
            best = Some(mrz);
        }
    }
    best.ok_or_else(shape)
}

/// Reads a zone in a given format.
///
/// # Errors
/// [`ParseError`] when the lines have other lengths or foreign characters.
pub fn parse_as<S: AsRef<str>>(format: Format, lines: &[S], today: Today) -> Result<Mrz, ParseError> {
    let lengths: Vec<usize> = lines.iter().take(8).map(|l| l.as_ref().chars().count()).collect();
    if lengths != format.layout().lengths || lines.len() != lengths.len() {
        return Err(ParseError::Shape { lengths });
    }
    for (line, text) in lines.iter().enumerate() {
        if let Some(pos) = text.as_ref().chars().position(|c| check_digit::value(c).is_none()) {
            return Err(ParseError::ForeignCharacter { line, pos });
        }
    }
    Ok(read(format, lines, today))
}

/// What a document number and its digit are when the number may run on into the optional field.
struct Number {
    text: String,
    /// Text the digit covers.
    covered: String,
    digit_at: (usize, usize),
    digit: char,
    /// Optional data that is left.
    optional: String,
}

fn number(format: Format, at: &impl Fn(Span) -> String) -> Option<Number> {
    let layout = format.layout();
    let check = layout.checks.iter().find(|c| c.of == Some(Kind::DocumentNumber))?;
    let field = layout.fields.iter().find(|f| f.kind == Kind::Optional);
    let covered: String = check.over.iter().map(|s| at(*s)).collect();
    let digit = at((check.at.0, check.at.1, 1)).chars().next().unwrap_or('<');
    let optional = field.map(|f| at(f.span)).unwrap_or_default();
    if layout.long_number && digit == '<' {
        let run: String = optional.chars().take_while(|c| *c != '<').collect();
        if let (Some(last), Some(field)) = (run.chars().last(), field)
            && last.is_ascii_digit()
        {
            let head = run.get(..run.len() - 1).unwrap_or_default();
            let text = format!("{covered}{head}");
            // The filler in the digit's place counts as a character (as Belgian and Portuguese cards show).
            let covered = format!("{covered}<{head}");
            let rest = optional.get(run.len()..).unwrap_or_default().trim_matches('<').to_owned();
            let digit_at = (field.span.0, field.span.1 + run.len() - 1);
            return Some(Number { covered, text, digit_at, digit: last, optional: rest });
        }
    }
    let own =
        layout.fields.iter().find(|f| f.kind == Kind::DocumentNumber).map(|f| at(f.span)).unwrap_or_default();
    // The French card counts year and month of issue in its number, its licence the whole line before the digit in the check.
    let text =
        if format == Format::FrenchLicence { own } else { covered.clone() }.trim_end_matches('<').to_owned();
    Some(Number { text, covered, digit_at: check.at, digit, optional: optional.trim_matches('<').to_owned() })
}

fn read<S: AsRef<str>>(format: Format, lines: &[S], today: Today) -> Mrz {
    let layout = format.layout();
    let at = |(line, start, len): Span| -> String {
        let text = lines.get(line).map_or("", AsRef::as_ref);
        text.get(start..start + len).unwrap_or_default().to_owned()
    };
    let raw = |kind: Kind| layout.fields.iter().find(|f| f.kind == kind).map(|f| at(f.span));
    let trimmed = |kind: Kind| raw(kind).unwrap_or_default().trim_matches('<').to_owned();
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());

    let document_code = trimmed(Kind::DocumentCode);
    if !document_code.starts_with(|c: char| c.is_ascii_uppercase()) {
        errors.push(Kind::DocumentCode.name().to_owned());
    }
    let mut state = |kind: Kind| -> String {
        let Some(text) = raw(kind) else { return String::new() };
        let code = text.trim_end_matches('<').to_owned();
        // A separate signal from the check digits: specimens and even cards in use carry what is no code.
        if code.is_empty() || !code.bytes().all(|b| b.is_ascii_uppercase()) {
            warnings.push(format!("{} is no code", kind.name()));
        } else if country::find(&code).is_none() {
            warnings.push(match country::find_alpha2(&code) {
                Some(_) => format!("{} has two letters", kind.name()),
                None => format!("{} is unknown", kind.name()),
            });
        }
        code
    };
    let issuing_state = state(Kind::IssuingState);
    let nationality = state(Kind::Nationality);

    let long = number(format, &at);
    let (document_number, optional) = match (&long, format) {
        (Some(n), _) => (n.text.clone(), n.optional.clone()),
        (None, _) => (trimmed(Kind::DocumentNumber), trimmed(Kind::Optional)),
    };

    let mut checks = Vec::with_capacity(layout.checks.len());
    for check in layout.checks {
        let result = prove(check, long.as_ref(), &at);
        if !result.holds {
            errors.push(format!("{} hash", check.of.map_or("final", Kind::name)));
        }
        checks.push(result);
    }

    let mut date = |kind: Kind, meaning: Meaning| -> Option<DateField> {
        let raw = raw(kind)?;
        let date = MrzDate::read(&raw, meaning, today);
        if date.is_none() {
            errors.push(kind.name().to_owned());
        }
        Some(DateField { raw, date })
    };
    let birth_date = date(Kind::BirthDate, Meaning::Past);
    let expiry_date = date(Kind::ExpiryDate, Meaning::Expiry);
    let issue_month = raw(Kind::IssueMonth);
    if issue_month
        .as_deref()
        .is_some_and(|m| MrzDate::read(&format!("{m}00"), Meaning::Past, today).is_none())
    {
        errors.push(Kind::IssueMonth.name().to_owned());
    }

    let sex = raw(Kind::Sex).and_then(|s| match s.as_str() {
        "M" => Some(Sex::Male),
        "F" => Some(Sex::Female),
        "<" | "X" => Some(Sex::Unspecified),
        _ => {
            errors.push(Kind::Sex.name().to_owned());
            None
        }
    });
    for field in layout.fields.iter().filter(|f| f.kind == Kind::Constant) {
        if at(field.span).bytes().any(|b| b != b'<') {
            errors.push(Kind::Constant.name().to_owned());
        }
    }

    let names = read_names(format, &document_code, &issuing_state, &raw, &mut errors, &mut warnings);
    Mrz {
        format,
        lines: lines.iter().map(|l| l.as_ref().to_owned()).collect(),
        document_code,
        issuing_state,
        names,
        document_number,
        nationality,
        birth_date,
        expiry_date,
        issue_month,
        sex,
        optional,
        optional2: trimmed(Kind::Optional2),
        checks,
        errors,
        warnings,
    }
}

fn prove(check: &Check, long: Option<&Number>, at: &impl Fn(Span) -> String) -> CheckResult {
    let (covered, (line, pos), found) = match long {
        Some(n) if check.of == Some(Kind::DocumentNumber) => (n.covered.clone(), n.digit_at, n.digit),
        _ => {
            let covered: String = check.over.iter().map(|s| at(*s)).collect();
            (covered, check.at, at((check.at.0, check.at.1, 1)).chars().next().unwrap_or('<'))
        }
    };
    let expected = check_digit::of(covered.chars());
    let empty = covered.bytes().all(|b| b == b'<');
    let holds = found == expected || (check.filler_if_empty && empty && found == '<');
    CheckResult { of: check.of, line, pos, found, expected, holds }
}

fn read_names(
    format: Format,
    code: &str,
    state: &str,
    raw: &impl Fn(Kind) -> Option<String>,
    errors: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Names {
    let words = |text: &str| text.split('<').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    let names = if let Some(field) = raw(Kind::Names) {
        let (primary, secondary, separated) = match field.trim_end_matches('<').find("<<") {
            Some(cut) => (field.get(..cut).unwrap_or_default(), field.get(cut..).unwrap_or_default(), true),
            None => (field.as_str(), "", false),
        };
        Names {
            surname: words(primary),
            given_names: words(secondary),
            truncated: !field.ends_with('<'),
            separated,
        }
    } else {
        let surname = raw(Kind::Surname).unwrap_or_default();
        let given = raw(Kind::GivenNames).unwrap_or_default();
        let truncated = !surname.ends_with('<') || (raw(Kind::GivenNames).is_some() && !given.ends_with('<'));
        Names { surname: words(&surname), given_names: words(&given), truncated, separated: true }
    };
    let digits = |t: &str| t.bytes().any(|b| b.is_ascii_digit());
    // The Russian internal passport writes letters that Latin lacks as digits (order No. 320 of the FMS, 2011).
    let digits_allowed = format == Format::Td3 && code == "PN" && state == "RUS";
    if (digits(&names.surname) || digits(&names.given_names)) && !digits_allowed {
        errors.push(Kind::Names.name().to_owned());
    }
    if names.surname.is_empty() && names.given_names.is_empty() {
        errors.push(Kind::Names.name().to_owned());
    }
    if names.truncated {
        warnings.push("names may be cut off".to_owned());
    }
    if !names.separated {
        warnings.push("no separator between names".to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{ParseError, Sex, clean, parse};
    use crate::date::Today;
    use crate::format::{Format, Kind};

    const TODAY: Today = Today::new(2026, 11, 23);

    /// Doc 9303-4 appendix A.
    #[test]
    fn the_passport_of_the_standard_is_read() {
        let mrz = parse(
            &["P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"],
            TODAY,
        )
        .expect("TD3");
        assert!(mrz.valid(), "{:?}", mrz.errors);
        assert_eq!((mrz.format, mrz.sex), (Format::Td3, Some(Sex::Female)));
        assert_eq!((mrz.names.surname.as_str(), mrz.names.given_names.as_str()), ("ERIKSSON", "ANNA MARIA"));
        assert_eq!(
            mrz.birth_date.as_ref().and_then(|d| d.date).and_then(|d| d.iso()).as_deref(),
            Some("1974-08-12")
        );
        assert_eq!(mrz.key().as_deref(), Some("L898902C3674081221204159"));
        assert_eq!(mrz.block().personal_number, "ZE184226B");
    }

    /// Doc 9303-5 §4.2.2.1 note j; the zone of a Belgian specimen.
    #[test]
    fn a_long_document_number_runs_on_into_the_optional_data() {
        let mrz = parse(
            &[
                "IDBEL000590240<6013<<<<<<<<<<<",
                "8512017F1311048BEL851201002007",
                "REINARTZ<<ULRIKE<KATIA<E<<<<<<",
            ],
            TODAY,
        )
        .expect("TD1");
        assert!(mrz.valid(), "{:?}", mrz.errors);
        assert_eq!((mrz.document_number.as_str(), mrz.optional.as_str()), ("000590240601", ""));
        assert_eq!(mrz.digit(Some(Kind::DocumentNumber)), Some('3'));
    }

    #[test]
    fn a_german_card_has_no_sex_and_a_code_of_one_letter() {
        let mrz = parse(
            &[
                "IDD<<T220001293<<<<<<<<<<<<<<<",
                "6408125<2010315D<<<<<<<<<<<<<4",
                "MUSTERMANN<<ERIKA<<<<<<<<<<<<<",
            ],
            TODAY,
        )
        .expect("TD1");
        assert!(mrz.valid() && mrz.warnings.is_empty());
        assert_eq!(mrz.sex, Some(Sex::Unspecified));
        assert_eq!((mrz.issuing_state_alpha3(), mrz.nationality_alpha3()), ("DEU", "DEU"));
    }

    #[test]
    fn cut_off_names_unknown_dates_and_lone_names_are_told() {
        let mrz = parse(
            &[
                "I<PRT007666667<ZZ00<<<<<<<<<<<",
                "8303143M3405293PRT<<<<<<<<<<<4",
                "CACADOR<DE<ARAUJO<<ANDRE<ESTEV",
            ],
            TODAY,
        )
        .expect("TD1");
        assert!(mrz.valid() && mrz.names.truncated);
        assert_eq!(mrz.document_number, "007666667ZZ0");
        let lone = parse(
            &["P<UTOARKFREITH<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<", "L898902C36UTO74<<<<2F1204159ZE184226B<<<<<10"],
            TODAY,
        )
        .expect("TD3");
        assert!(!lone.names.separated && lone.names.given_names.is_empty());
        let birth = lone.birth_date.as_ref().and_then(|d| d.date).expect("a date with unknown parts");
        assert_eq!((birth.year, birth.month, birth.day), (Some(1974), None, None));
    }

    #[test]
    fn a_french_licence_is_one_line() {
        let mrz = parse(&["D1FRA13AA000026181231MARTIN<<9"], TODAY).expect("one line of 30");
        assert!(mrz.valid(), "{:?}", mrz.errors);
        assert_eq!((mrz.document_number.as_str(), mrz.names.surname.as_str()), ("13AA00002", "MARTIN"));
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        assert_eq!(parse::<&str>(&[], TODAY), Err(ParseError::Shape { lengths: vec![] }));
        assert!(matches!(parse(&["HELLO"], TODAY), Err(ParseError::Shape { .. })));
        assert_eq!(parse(&["P<UTOÉ"], TODAY), Err(ParseError::ForeignCharacter { line: 0, pos: 5 }));
        assert_eq!(clean(" p<uto « x "), "P<UTO<<X");
    }
}
