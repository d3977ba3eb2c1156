//! Takes typed fields out of a JSON object, a query or a form and collects every complaint in the API's shape.
//!
//! An operation reads its fields in one closure, given to [`Fields::read`]. A
//! field is known because the closure asked for it; whatever is left when the
//! closure ends is refused by name. So no operation can pass a field over.

use serde_json::{Map, Value, json};

use workflow::nearest;

use super::{body::printable, failure::Failure};

/// Unknown fields that are named in one answer.
const MOST_UNKNOWN: usize = 20;

/// Whether values are written as text: in forms and queries they are, in JSON they have a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Json,
    Text,
}

/// The fields of a request, taken one by one.
pub(crate) struct Fields {
    values: Map<String, Value>,
    complaints: Map<String, Value>,
    writing: Writing,
    /// What the operation takes, in the order in which it asked.
    known: Vec<String>,
    /// What it takes besides: named only where a misspelt field resembles it.
    hints: Vec<&'static str>,
}

impl Fields {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// Every complaint at once, also about each field that `read` did not ask for.
    pub(crate) fn read<T>(
        values: Map<String, Value>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Result<T, Failure> {
        Self::new(values, Writing::Json).finish(read)
    }

    /// Reads values that are written as text; `known` and `complaints` are what the form found before.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_texts<T>(
        values: Map<String, Value>,
        complaints: Map<String, Value>,
        known: Vec<String>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Result<T, Failure> {
        Self { complaints, known, ..Self::new(values, Writing::Text) }.finish(read)
    }

    fn new(values: Map<String, Value>, writing: Writing) -> Self {
        Self { values, complaints: Map::new(), writing, known: Vec::new(), hints: Vec::new() }
    }

    fn finish<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> Result<T, Failure> {
        let out = read(&mut self);
        self.refuse_the_rest();
        if self.complaints.is_empty() { Ok(out) } else { Err(Failure::fields(self.complaints)) }
    }

    fn refuse_the_rest(&mut self) {
        let rest = std::mem::take(&mut self.values);
        for field in rest.keys().take(MOST_UNKNOWN) {
            let text = match nearest(field, self.hints.iter().copied()) {
                Some(near) if nearest(field, self.known.iter().map(String::as_str)).is_none() => {
                    format!("Unknown field. Did you mean '{near}'?")
                }
                _ => unknown("field", field, &self.known),
            };
            self.complain(&printable(field), &text);
        }
    }

    /// Adds a complaint about a field; the first one of a field stays.
    pub(crate) fn complain(&mut self, field: &str, text: &str) {
        self.complaints.entry(field).or_insert_with(|| json!([text]));
    }

    /// Remembers that the operation takes a field, also one that the request lacks.
    fn know(&mut self, field: &str) {
        if !self.known.iter().any(|known| known == field) {
            self.known.push(field.to_owned());
        }
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        self.know(field);
        self.values.remove(field).filter(|value| !value.is_null())
    }

    /// Names fields that [`Self::take_all`] takes, for whoever misspells them.
    pub(crate) fn hint(&mut self, names: impl Iterator<Item = &'static str>) {
        self.hints.extend(names);
    }

    /// Takes every remaining field whose name `wanted` accepts.
    pub(crate) fn take_all(&mut self, wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
        let (taken, left) = std::mem::take(&mut self.values).into_iter().partition(|(name, _)| wanted(name));
        self.values = left;
        taken
    }

    /// A documented field that this server does not act on. What switches the thing off (`null`, `false`, nothing in a
    /// list) asks for what the server does anyway; anything else is refused, and `advice` says what to do.
    pub(crate) fn unsupported(&mut self, field: &str, advice: &str) {
        let Some(value) = self.values.remove(field) else { return };
        let off = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => self.writing == Writing::Text && text.trim().eq_ignore_ascii_case("false"),
            Value::Array(items) => items.is_empty(),
            Value::Object(items) => items.is_empty(),
            _ => false,
        };
        if !off {
            self.complain(field, &format!("This is not supported by this server: {advice}"));
        }
    }

    /// An object within, as it was sent, and what `read` took out of it; complaints stand under the object's name.
    pub(crate) fn nested<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<(Map<String, Value>, T)> {
        let object = self.object(field)?;
        let out = self.entry(field, object.clone(), read)?;
        Some((object, out))
    }

    /// The fields of one object in a list within; their complaints stand under the list's name.
    pub(crate) fn entry<T>(
        &mut self,
        field: &str,
        object: Map<String, Value>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let mut inner = Self::new(object, self.writing);
        let out = read(&mut inner);
        inner.refuse_the_rest();
        if inner.complaints.is_empty() {
            return Some(out);
        }
        let texts: Vec<String> = inner
            .complaints
            .iter()
            .flat_map(|(name, texts)| {
                texts
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(move |text| format!("{name}: {text}"))
            })
            .collect();
        self.complaints.entry(field).or_insert_with(|| json!(texts));
        None
    }

    /// A list whose entries are texts.
    pub(crate) fn texts(&mut self, field: &str, most: usize) -> Option<Vec<String>> {
        let Value::Array(items) = self.take(field)? else {
            self.complain(field, "Expected a list of items.");
            return None;
        };
        if items.len() > most {
            self.complain(field, &format!("Ensure this field has no more than {most} elements."));
            return None;
        }
        let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        if texts.is_none() {
            self.complain(field, "Each item must be a string.");
        }
        texts
    }

    /// The ISO 3166-1 alpha-3 code of a country, as documents carry it.
    pub(crate) fn country(&mut self, field: &str) -> Option<String> {
        let text = self.text(field, 50).filter(|text| !text.is_empty())?;
        let code = text.to_ascii_uppercase();
        let known = mrz::country::all().iter().any(|country| country.alpha3() == code);
        if !known {
            self.complain(
                field,
                &format!("\"{}\" is not an ISO 3166-1 alpha-3 country code, such as ESP.", printable(&text)),
            );
        }
        known.then_some(code)
    }

    /// An e-mail address, as far as its form shows.
    pub(crate) fn email(&mut self, field: &str) -> Option<String> {
        let text = self.text(field, 254).filter(|text| !text.is_empty())?;
        let good = text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty()
                && host.split('.').count() > 1
                && host.split('.').all(|part| !part.is_empty())
                && !text.contains(|c: char| c.is_whitespace() || c.is_control())
                && !host.contains('@')
        });
        if !good {
            self.complain(field, "Enter a valid email address.");
        }
        good.then_some(text)
    }

    /// Any JSON value.
    pub(crate) fn any(&mut self, field: &str) -> Option<Value> {
        self.take(field)
    }

    /// A text of at most `longest` characters without control characters.
    pub(crate) fn text(&mut self, field: &str, longest: usize) -> Option<String> {
        match self.take(field)? {
            Value::String(text) if text.chars().count() > longest => {
                self.complain(field, &format!("Ensure this field has no more than {longest} characters."));
                None
            }
            Value::String(text) if text.contains('\0') => {
                self.complain(field, "Null characters are not allowed.");
                None
            }
            Value::String(text) => Some(text),
            _ => {
                self.complain(field, "Not a valid string.");
                None
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, field: &str, longest: usize) -> Option<String> {
        self.know(field);
        if !self.values.contains_key(field) {
            self.complain(field, "This field is required.");
            return None;
        }
        if self.values.get(field) == Some(&Value::Null) {
            self.complain(field, "This field may not be null.");
            return None;
        }
        let text = self.text(field, longest)?;
        if text.trim().is_empty() {
            self.complain(field, "This field may not be blank.");
            return None;
        }
        Some(text)
    }

    /// One of a fixed set of words.
    pub(crate) fn choice(&mut self, field: &str, choices: &[&'static str]) -> Option<&'static str> {
        let text = self.text(field, 200)?;
        let found = choices.iter().copied().find(|choice| *choice == text);
        if found.is_none() {
            self.complain(field, &format!("\"{}\" is not a valid choice.", printable(&text)));
        }
        found
    }

    /// One of a fixed set of words that must be there.
    pub(crate) fn required_choice(&mut self, field: &str, choices: &[&'static str]) -> Option<&'static str> {
        let text = self.required_text(field, 200)?;
        self.values.insert(field.to_owned(), json!(text));
        self.choice(field, choices)
    }

    /// `true` or `false`; in forms and queries also in their spellings.
    pub(crate) fn boolean(&mut self, field: &str) -> Option<bool> {
        match self.take(field)? {
            Value::Bool(value) => Some(value),
            Value::String(text) if self.writing == Writing::Text => {
                match text.trim().to_ascii_lowercase().as_str() {
                    "true" | "1" | "yes" | "on" => Some(true),
                    "false" | "0" | "no" | "off" => Some(false),
                    _ => {
                        self.complain(field, "Must be a valid boolean.");
                        None
                    }
                }
            }
            _ => {
                self.complain(field, "Must be a valid boolean.");
                None
            }
        }
    }

    /// A finite number within a range; in forms and queries it is written as text.
    pub(crate) fn number(&mut self, field: &str, min: f64, max: f64) -> Option<f64> {
        let value = match self.take(field)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if self.writing == Writing::Text && text.trim().is_empty() => return None,
            Value::String(text) if self.writing == Writing::Text => text.trim().parse().ok(),
            _ => None,
        };
        match value.filter(|value: &f64| value.is_finite()) {
            None => {
                self.complain(field, "A valid number is required.");
                None
            }
            Some(value) if value < min => {
                self.complain(field, &format!("Ensure this value is greater than or equal to {min}."));
                None
            }
            Some(value) if value > max => {
                self.complain(field, &format!("Ensure this value is less than or equal to {max}."));
                None
            }
            Some(value) => Some(value),
        }
    }

    /// A whole number within a range.
    pub(crate) fn integer(&mut self, field: &str, min: i32, max: i32) -> Option<i32> {
        let value = self.number(field, f64::from(min), f64::from(max))?;
        if value.fract() != 0.0 {
            self.complain(field, "A valid integer is required.");
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and within two i32 bounds")]
        let value = value as i32;
        Some(value)
    }

    /// A JSON object, also sent as JSON text (some clients do).
    pub(crate) fn object(&mut self, field: &str) -> Option<Map<String, Value>> {
        let value = match self.take(field)? {
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
            value => value,
        };
        if let Value::Object(object) = value {
            Some(object)
        } else {
            self.complain(field, "Expected a dictionary of items.");
            None
        }
    }

    /// A UUID.
    pub(crate) fn uuid(&mut self, field: &str) -> Option<uuid::Uuid> {
        let text = self.text(field, 100)?;
        let parsed = uuid::Uuid::try_parse(&text).ok();
        if parsed.is_none() {
            self.complain(field, "Must be a valid UUID.");
        }
        parsed
    }

    /// A UUID that must be there.
    pub(crate) fn required_uuid(&mut self, field: &str) -> Option<uuid::Uuid> {
        let text = self.required_text(field, 100)?;
        self.values.insert(field.to_owned(), json!(text));
        self.uuid(field)
    }

    /// Which rows of a list are shown: at most how many (1 to 200, 50 unless said), after how many.
    pub(crate) fn page(&mut self) -> (u32, u32) {
        let limit = self.integer("limit", 1, 200).unwrap_or(50);
        let offset = self.integer("offset", 0, 1_000_000_000).unwrap_or(0);
        (limit.unsigned_abs(), offset.unsigned_abs())
    }

    /// A strict date.
    pub(crate) fn date(&mut self, field: &str) -> Option<jiff::civil::Date> {
        let text = self.text(field, 40)?;
        if text.is_empty() {
            return None;
        }
        let date = service::age::parse_date(&text);
        if date.is_none() {
            self.complain(field, "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.");
        }
        date
    }
}

/// What is said of a name that an operation does not know.
pub(crate) fn unknown(what: &str, name: &str, known: &[String]) -> String {
    let near = nearest(name, known.iter().map(String::as_str));
    if let Some(near) = near {
        return format!("Unknown {what}. Did you mean '{near}'?");
    }
    if known.is_empty() {
        return format!("Unknown {what}. This operation takes none here. Leave it out.");
    }
    format!("Unknown {what}. This operation takes: {}.", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn complaints<T>(read: Result<T, Failure>) -> Value {
        read.err().map(Failure::into_body).unwrap_or_default()
    }

    #[test]
    fn a_field_that_nobody_asked_for_is_refused_with_the_nearest_known_one() {
        let read = Fields::read(object(json!({ "vendor_date": "x", "zzz": 1 })), |fields| {
            (fields.text("vendor_data", 10), fields.boolean("save"))
        });
        assert_eq!(
            complaints(read),
            json!({
                "vendor_date": ["Unknown field. Did you mean 'vendor_data'?"],
                "zzz": ["Unknown field. This operation takes: vendor_data, save."],
            })
        );
    }

    #[test]
    fn a_misspelt_field_that_is_required_is_named_although_it_is_missing() {
        let read = Fields::read(object(json!({ "nane": "x" })), |fields| fields.required_text("name", 10));
        assert_eq!(
            complaints(read),
            json!({ "name": ["This field is required."], "nane": ["Unknown field. Did you mean 'name'?"] })
        );
    }

    #[test]
    fn json_values_keep_their_type_and_text_is_read_only_where_all_is_text() {
        let values = json!({ "on": "true", "count": "3" });
        let read = |fields: &mut Fields| (fields.boolean("on"), fields.number("count", 0.0, 9.0));
        assert_eq!(
            complaints(Fields::read(object(values.clone()), read)),
            json!({ "on": ["Must be a valid boolean."], "count": ["A valid number is required."] })
        );
        let texts = Fields::read_texts(object(values), Map::new(), Vec::new(), read);
        assert_eq!(texts.ok(), Some((Some(true), Some(3.0))));
    }

    #[test]
    fn what_switches_a_missing_thing_off_is_taken_and_what_asks_for_it_is_refused() {
        for off in [json!(null), json!(false), json!([]), json!({})] {
            assert!(
                Fields::read(object(json!({ "x": off })), |fields| fields.unsupported("x", "y.")).is_ok()
            );
        }
        for on in [json!(true), json!("a"), json!(1), json!(["a"]), json!({ "a": 1 }), json!("false")] {
            let read =
                Fields::read(object(json!({ "x": on })), |fields| fields.unsupported("x", "leave it out."));
            assert_eq!(
                complaints(read),
                json!({ "x": ["This is not supported by this server: leave it out."] })
            );
        }
    }

    #[test]
    fn complaints_about_an_object_within_name_its_fields() {
        let body = json!({ "details": { "gender": "X", "nme": "a" } });
        let read = Fields::read(object(body), |fields| {
            fields.nested("details", |inner| (inner.choice("gender", &["M", "F"]), inner.text("name", 9)))
        });
        assert_eq!(
            complaints(read),
            json!({ "details": ["gender: \"X\" is not a valid choice.", "nme: Unknown field. Did you mean 'name'?"] })
        );
    }
}
