//! `POST /v1/aml/screen/batch` — screens many people: one JSON object a line in, one a line out, in order.
//!
//! Lines are read as they come and answered in chunks, so neither side holds the whole. A client that does not
//! read its answers is not read further. A line that cannot be used gets its own error and the rest goes on.

use aml::ndjson::{Line, Lines};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};
use service::screening::Asked;
use store::ApiKeyId;
use tokio::sync::mpsc;

use crate::{
    api::Detail,
    app::App,
    http::{
        body::{printable, unparsed},
        caller::{Caller, WriteSessions},
        failure::Failure,
        fields::Fields,
        json,
        limit::Budget,
        upload::Streamed,
    },
};

/// Longest line.
const LINE_BYTES: usize = 64 * 1024;
/// People screened in one go.
const CHUNK: usize = 64;
/// Chunks of answers that wait for the client.
const WAITING_CHUNKS: usize = 4;
/// Media types of JSON lines, as clients name them.
const MEDIA_TYPES: &[&str] = &[
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json-lines",
    "text/plain",
];

/// The caller's own name of a line, given back with its answer.
fn id_of(object: &Map<String, Value>) -> Result<Value, Value> {
    match object.get("id") {
        Some(Value::String(id)) if id.len() <= 200 => Ok(json!(id)),
        Some(Value::Number(id)) => Ok(json!(id)),
        None | Some(Value::Null) => Ok(Value::Null),
        Some(_) => Err(json!({ "id": ["A number or a text of at most 200 characters is required."] })),
    }
}

/// Reads a line: who is asked for, or what is wrong; and the line's id.
fn read(line: Line) -> (Value, Result<Asked, Value>) {
    let line = match line {
        Line::Whole(line) => line,
        Line::TooLong => {
            let text = format!("A line has at most {LINE_BYTES} bytes.");
            return (Value::Null, Err(json!({ "detail": text, "code": "line_too_long" })));
        }
    };
    let object = match json::parse(&line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => {
            let error = json!({ "detail": "Invalid data. Expected a dictionary.", "code": "invalid_body" });
            return (Value::Null, Err(error));
        }
        Err(error) => return (Value::Null, Err(unparsed(&error).into_body())),
    };
    let id = match id_of(&object) {
        Ok(id) => id,
        Err(error) => return (Value::Null, Err(error)),
    };
    let read = Fields::read(object, |fields| {
        // Read already: see `id_of`.
        let _ = fields.any("id");
        super::question(fields)
    });
    match read.and_then(|(person, settings)| super::settled(&settings).map(|()| (person, settings))) {
        Ok((person, settings)) => (id, Ok(Asked::new(&person, settings))),
        Err(failure) => (id, Err(failure.into_body())),
    }
}

/// Reads the request to its end, or as far as the caller's budget goes.
async fn work(app: App, key: ApiKeyId, body: Body, answers: mpsc::Sender<Bytes>) {
    let mut stream = body.into_data_stream();
    let mut lines = Lines::new(LINE_BYTES);
    let mut number = 0_u64;
    let mut ended = false;
    while !ended {
        let mut found = Vec::new();
        match stream.next().await {
            Some(Ok(bytes)) => lines.push(&bytes, &mut found),
            // A request that broke off has no further answers.
            Some(Err(_)) => return,
            None => {
                ended = true;
                lines.end(&mut found);
            }
        }
        let mut found = found.into_iter().peekable();
        while found.peek().is_some() {
            let mut refused = None;
            let mut chunk = Vec::new();
            for line in found.by_ref().take(CHUNK) {
                number += 1;
                if let Err(failure) = app.keys.count(&key, Budget::Screening, app.now_s()) {
                    refused = Some(json!({ "line": number, "id": null, "error": failure.into_body() }));
                    break;
                }
                let (id, asked) = read(line);
                chunk.push((number, id, asked));
            }
            let questions = chunk.iter().filter_map(|(_, _, asked)| asked.as_ref().ok().cloned()).collect();
            let mut results = app.service.screen_chunk(questions).await.into_iter();
            let mut text = String::new();
            for (line, id, asked) in chunk {
                let mut answer = match asked {
                    Ok(_) => results.next().unwrap_or_else(|| json!({})),
                    Err(error) => json!({ "error": error }),
                };
                answer["line"] = json!(line);
                answer["id"] = id;
                text.push_str(&answer.to_string());
                text.push('\n');
            }
            let stop = refused.is_some();
            if let Some(refused) = refused {
                text.push_str(&refused.to_string());
                text.push('\n');
            }
            if answers.send(Bytes::from(text)).await.is_err() || stop {
                return;
            }
        }
    }
}

/// Screens many people: each line is a body of `POST /v3/aml/` with an `id` of the caller's, each answer a line
/// `{"line", "id", "aml"}` or `{"line", "id", "error"}`. Nothing is kept.
#[utoipa::path(post, path = "/v1/aml/screen/batch", tag = "screening",
    request_body(content(
        (String = "application/x-ndjson"),
        (String = "text/plain"),
    ), description = "One JSON object a line, at most 64 KiB each."),
    responses(
    (status = 200, body = String, content_type = "application/x-ndjson"),
    (status = 400, body = Detail),
    (status = 403, body = Detail),
    (status = 415, body = Detail),
    (status = 429, body = Detail),
))]
pub(crate) async fn handler(
    caller: Caller<WriteSessions>,
    State(app): State<App>,
    headers: HeaderMap,
    Streamed(body): Streamed,
) -> Result<Response, Failure> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !MEDIA_TYPES.contains(&essence.as_str()) {
        let text = format!("Unsupported media type \"{}\" in request.", printable(&essence));
        return Err(Failure::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", &text));
    }
    let (send, receive) = mpsc::channel(WAITING_CHUNKS);
    tokio::spawn(work(app, caller.access.key, body, send));
    let answers = stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|bytes| (Ok::<_, std::convert::Infallible>(bytes), receive))
    });
    let response = ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(answers));
    Ok(caller.answer(response))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_without_a_name_gets_its_own_error_and_keeps_its_id() {
        let (id, asked) = read(Line::Whole(br#"{"id":"a7","nationality":"XX"}"#.to_vec()));
        assert_eq!(id, "a7");
        let error = asked.unwrap_err();
        assert_eq!(error["full_name"], json!(["This field is required."]));
        assert_eq!(error["nationality"], json!(["Invalid ISO 3166-1 alpha-2 country code."]));
        assert!(read(Line::Whole(b"\xff".to_vec())).1.is_err());
    }

    proptest! {
        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(Line::Whole(line));
        }
    }
}
