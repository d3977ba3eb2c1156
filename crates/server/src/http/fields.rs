//! Takes typed fields out of a JSON object or a form and collects every complaint in the API's shape.

use serde_json::{Map, Value, json};

use super::{body::printable, failure::Failure};

/// The fields of a request, taken one by one; [`Fields::finish`] reports all complaints together.
pub(crate) struct Fields {
    values: Map<String, Value>,
    complaints: Map<String, Value>,
}

impl Fields {
    pub(crate) fn new(values: Map<String, Value>) -> Self {
        Self { values, complaints: Map::new() }
    }

    /// Adds a complaint about a field; the first one of a field stays.
    pub(crate) fn complain(&mut self, field: &str, text: &str) {
        self.complaints.entry(field).or_insert_with(|| json!([text]));
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        self.values.remove(field).filter(|value| !value.is_null())
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

    /// `true` or `false`, also in the spellings of forms.
    pub(crate) fn boolean(&mut self, field: &str) -> Option<bool> {
        match self.take(field)? {
            Value::Bool(value) => Some(value),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(true),
                "false" | "0" | "no" | "off" => Some(false),
                _ => {
                    self.complain(field, "Must be a valid boolean.");
                    None
                }
            },
            _ => {
                self.complain(field, "Must be a valid boolean.");
                None
            }
        }
    }

    /// A finite number within a range, also written as text (forms).
    pub(crate) fn number(&mut self, field: &str, min: f64, max: f64) -> Option<f64> {
        let value = match self.take(field)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.trim().parse().ok(),
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

    /// Ends the reading.
    ///
    /// # Errors
    /// Every complaint at once. Fields that nobody took are ignored, as clients of this API expect.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if self.complaints.is_empty() { Ok(()) } else { Err(Failure::fields(self.complaints)) }
    }
}
