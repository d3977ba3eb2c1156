//! `POST /verify-age` — says whether a self-declared date of birth gives a minimum age.
//!
//! Stores nothing and needs no key. The rule and its reasons: [`service::age`].
//! Bodies are read strictly: unknown and repeated keys are refused, because two
//! readers of one body must never see two dates of birth.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request as HttpRequest, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::age::{self, LeapDayRule};
use utoipa::ToSchema;

use crate::{
    app::{App, ClientAddress},
    http::{body::printable, limit::Budget},
};

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[schema(as = AgeCheck)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Date of birth, `YYYY-MM-DD`.
    #[schema(value_type = String, format = Date, example = "1990-05-07")]
    date_of_birth: Option<Value>,
    /// Minimum age in full years, 1 to 150.
    #[schema(value_type = Option<u8>, minimum = 1, maximum = 150, default = 18)]
    min_age: Option<Value>,
    /// IANA time zone in which the date is taken; without it the date that every place on Earth has reached.
    #[schema(value_type = Option<String>, example = "Europe/Madrid")]
    time_zone: Option<Value>,
    /// ISO 3166 code; decides when someone born on 29 February comes of age.
    #[schema(value_type = Option<String>, example = "TW")]
    jurisdiction: Option<Value>,
    /// `false`: neither the date nor the age stands in the answer.
    #[schema(value_type = Option<bool>, default = true)]
    disclose: Option<Value>,
}

/// The answer.
#[derive(Serialize, ToSchema)]
#[schema(as = AgeCheckResult)]
pub(crate) struct Answer {
    /// As sent; absent with `disclose: false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    date_of_birth: Option<Date>,
    /// Full years; absent with `disclose: false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<i16>,
    /// Whether the minimum age is attained.
    is_verified: bool,
    /// The same as a sentence.
    message: String,
}

/// What is wrong with the request.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// One sentence.
    error: String,
}

fn refuse(text: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(Refusal { error: text.to_owned() })).into_response()
}

const DATE_FORMAT: &str = "Invalid date format. Use YYYY-MM-DD";
const OBJECT: &str = "Request body must be a JSON object";

/// Says whether a self-declared date of birth gives a minimum age.
#[utoipa::path(post, path = "/verify-age", tag = "age", security(()), request_body = Request, responses(
    (status = 200, body = Answer),
    (status = 400, body = Refusal, description = "The body is not what is asked for."),
    (status = 413, body = Refusal, description = "The body is larger than 16 KiB."),
    (status = 429, body = Refusal, description = "Too many requests from this address."),
))]
pub(crate) async fn handler(State(app): State<App>, client: ClientAddress, request: HttpRequest) -> Response {
    let standing = match app.addresses.count(&client.0, Budget::VerifyAge, app.now_s()) {
        Ok(standing) => standing,
        Err(_) => {
            let text = "Too many requests. Please try again in a minute";
            return (
                StatusCode::TOO_MANY_REQUESTS,
                [("retry-after", "60")],
                Json(Refusal { error: text.to_owned() }),
            )
                .into_response();
        }
    };
    // Who has used up the limit has no byte of a body read.
    let mut response = match Bytes::from_request(request, &app).await {
        Ok(bytes) => answer(&bytes, app.timestamp()),
        Err(_) => {
            (StatusCode::PAYLOAD_TOO_LARGE, Json(Refusal { error: "Request body is too large".to_owned() }))
                .into_response()
        }
    };
    if let Some(standing) = standing {
        standing.write(&mut response);
    }
    response
}

fn answer(body: &[u8], now: jiff::Timestamp) -> Response {
    let request: Request = match serde_json::from_slice(body) {
        Ok(request) if first_byte(body) == Some(b'{') => request,
        Ok(_) => return refuse(OBJECT),
        Err(error) => return refuse(&why_unreadable(body, &error)),
    };
    match evaluate(&request, now) {
        Ok(answer) => Json(answer).into_response(),
        Err(text) => refuse(&text),
    }
}

fn first_byte(body: &[u8]) -> Option<u8> {
    body.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

fn why_unreadable(body: &[u8], error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data if first_byte(body) == Some(b'{') => {
            // serde names the field: "unknown field `x`, expected …" or "duplicate field `x`".
            let text = error.to_string();
            let kind = if text.starts_with("duplicate") { "Duplicate field" } else { "Unknown field" };
            let name = printable(text.split('`').nth(1).unwrap_or_default());
            format!(
                "{kind} in request body: {name}. Allowed once each: date_of_birth, min_age, time_zone, jurisdiction, disclose"
            )
        }
        serde_json::error::Category::Data => OBJECT.to_owned(),
        _ => "Request body is not valid JSON".to_owned(),
    }
}

fn evaluate(request: &Request, now: jiff::Timestamp) -> Result<Answer, String> {
    let birth = match &request.date_of_birth {
        None | Some(Value::Null) => return Err("Date of birth is required".to_owned()),
        Some(Value::String(text)) if text.is_empty() => return Err("Date of birth is required".to_owned()),
        Some(Value::String(text)) => age::parse_date(text).ok_or(DATE_FORMAT)?,
        Some(_) => return Err(DATE_FORMAT.to_owned()),
    };
    let min_age = match &request.min_age {
        None | Some(Value::Null) => 18,
        Some(value) => value
            .as_i64()
            .filter(|years| (1..=150).contains(years))
            .and_then(|years| i16::try_from(years).ok())
            .ok_or("min_age must be a whole number from 1 to 150")?,
    };
    let zone = match &request.time_zone {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if name.len() <= 64 => {
            Some(TimeZone::get(name).map_err(|_| "time_zone must be an IANA name such as Europe/Madrid")?)
        }
        Some(_) => return Err("time_zone must be an IANA name such as Europe/Madrid".to_owned()),
    };
    let jurisdiction = match &request.jurisdiction {
        None | Some(Value::Null) => None,
        Some(Value::String(code)) if is_iso_3166(code) => Some(code.as_str()),
        Some(_) => return Err("jurisdiction must be an ISO 3166 code such as ES or US-CA".to_owned()),
    };
    let disclose = match &request.disclose {
        None | Some(Value::Null) => true,
        Some(Value::Bool(disclose)) => *disclose,
        Some(_) => return Err("disclose must be true or false".to_owned()),
    };
    let today = age::evaluation_date(now, zone.as_ref());
    let rule = LeapDayRule::of(jurisdiction);
    let years = age::age_on(birth, today, rule);
    if birth > today {
        return Err("Date of birth is in the future".to_owned());
    }
    if years > age::OLDEST {
        return Err(format!("Date of birth is more than {} years ago", age::OLDEST));
    }
    let is_verified = years >= min_age;
    Ok(Answer {
        date_of_birth: disclose.then_some(birth),
        age: disclose.then_some(years),
        is_verified,
        message: if is_verified {
            "Age verified successfully".to_owned()
        } else {
            format!("User is under {min_age} years old")
        },
    })
}

/// `ES`, `US-CA`: two letters, then perhaps a subdivision of up to three letters or digits.
fn is_iso_3166(code: &str) -> bool {
    let (country, part) = code.split_once('-').map_or((code, None), |(country, part)| (country, Some(part)));
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && part.is_none_or(|part| {
            (1..=3).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &str) -> Result<Answer, String> {
        let now = "2026-11-23T13:00:00Z".parse().unwrap();
        match serde_json::from_str::<Request>(body) {
            Ok(request) => evaluate(&request, now),
            Err(error) => Err(why_unreadable(body.as_bytes(), &error)),
        }
    }

    #[test]
    fn an_adult_is_verified_with_the_original_answer() {
        let answer = ask(r#"{"date_of_birth": "1990-05-07"}"#).unwrap();
        assert_eq!(
            serde_json::to_value(answer).unwrap(),
            serde_json::json!({"date_of_birth": "1990-05-07", "age": 36, "is_verified": true, "message": "Age verified successfully"})
        );
    }

    #[test]
    fn a_minor_is_not_verified() {
        let answer = ask(r#"{"date_of_birth": "2010-05-07"}"#).unwrap();
        assert_eq!((answer.is_verified, answer.message.as_str()), (false, "User is under 18 years old"));
    }

    #[test]
    fn nothing_personal_is_disclosed_when_not_wanted() {
        let answer = ask(r#"{"date_of_birth": "1990-05-07", "disclose": false, "min_age": 21}"#).unwrap();
        assert_eq!(
            serde_json::to_value(answer).unwrap(),
            serde_json::json!({"is_verified": true, "message": "Age verified successfully"})
        );
    }

    #[test]
    fn the_original_refusals_keep_their_texts() {
        for (body, expected) in [
            ("{}", "Date of birth is required"),
            (r#"{"date_of_birth": ""}"#, "Date of birth is required"),
            (r#"{"date_of_birth": "07-05-1990"}"#, DATE_FORMAT),
            (r#"{"date_of_birth": "1990-5-7"}"#, DATE_FORMAT),
            (r#"{"date_of_birth": 19900507}"#, DATE_FORMAT),
            (r#"{"date_of_birth": ["1990-05-07"]}"#, DATE_FORMAT),
        ] {
            assert_eq!(ask(body).err().as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn what_the_original_took_wrongly_is_refused() {
        for body in [
            r#""date_of_birth""#,
            r#"["date_of_birth"]"#,
            "5",
            "null",
            "",
            "{",
            r#"{"date_of_birth": "2999-01-01"}"#,
            r#"{"date_of_birth": "0001-01-01"}"#,
            r#"{"date_of_birth": "1850-06-01"}"#,
            r#"{"date_of_birth": "2020-01-01", "date_of_birth": "1990-01-01"}"#,
            r#"{"date_of_birth": "1990-01-01", "admin": true}"#,
            r#"{"date_of_birth": "1990-01-01", "min_age": 0}"#,
            r#"{"date_of_birth": "1990-01-01", "min_age": 18.5}"#,
            r#"{"date_of_birth": "1990-01-01", "time_zone": "Mars/Olympus"}"#,
            r#"{"date_of_birth": "1990-01-01", "jurisdiction": "spain"}"#,
            r#"{"date_of_birth": "1990-01-01", "disclose": "no"}"#,
        ] {
            assert!(ask(body).is_err(), "{body}");
        }
    }
}
