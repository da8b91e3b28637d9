//! What the gateway answers. Every answer is JSON and carries the server's time.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode, Version};
use logystera_schemas::ids::BatchId;
use serde::Serialize;

use crate::core::admit::{BodyFault, RefusedSignals};
use crate::core::refusal::Refusal;

/// Seconds that a sender waits if nothing better is known.
const RETRY_SOON_S: u32 = 5;
/// Seconds that a sender waits for another of its site's spools to be forgotten.
const RETRY_LATE_S: u32 = 3_600;

/// What became of a request.
pub(crate) enum Outcome {
    /// The log has the batch.
    Accepted { batch: BatchId, accepted: usize, refused: RefusedSignals },
    /// The log had it already; `same` if the bytes were compared.
    Duplicate { batch: BatchId, same: bool },
    /// It was turned away.
    Rejected(Box<Rejection>),
}

/// A request that was turned away.
pub(crate) struct Rejection {
    pub(crate) refusal: Refusal,
    /// Named only if the signature held.
    pub(crate) batch: Option<BatchId>,
    pub(crate) fault: Option<BodyFault>,
    pub(crate) refused: Option<RefusedSignals>,
    pub(crate) retry_after_s: Option<u32>,
    /// How long the answer is held back.
    pub(crate) answer_in: Option<Duration>,
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, batch: None, fault: None, refused: None, retry_after_s: None, answer_in: None }
    }
}

#[derive(Default, Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    same: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Vec<Item<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_more: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    server_time: i64,
}

#[derive(Serialize)]
struct Item<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

fn items(refused: &RefusedSignals) -> (Option<Vec<Item<'_>>>, Option<usize>) {
    let listed = refused.listed.iter();
    let items = listed.map(|i| Item { index: i.index, code: i.code.code(), field: i.field.as_deref() });
    (Some(items.collect()), (refused.more > 0).then_some(refused.more))
}

fn message(refusal: Refusal) -> &'static str {
    let row = refusal.row();
    if row.answer == row.code { row.when.trim() } else { "The request is not signed by a live key of the site." }
}

/// The answer to a request made over `version`, at `server_time`.
pub(crate) fn answer(outcome: &Outcome, version: Version, server_time: i64) -> Response<Body> {
    match outcome {
        Outcome::Accepted { batch, accepted, refused } => {
            let (refused, refused_more) = items(refused);
            let batch = Some(batch.to_string());
            let text = Text { batch, accepted: Some(*accepted), refused, refused_more, server_time, ..Text::default() };
            json(StatusCode::ACCEPTED, &text)
        }
        Outcome::Duplicate { batch, same } => {
            let (code, batch, same) = (Some("duplicate"), Some(batch.to_string()), Some(*same));
            let text = Text { code, batch, same, server_time, ..Text::default() };
            json(StatusCode::OK, &text)
        }
        Outcome::Rejected(rejection) => reject(rejection, version, server_time),
    }
}

fn reject(rejection: &Rejection, version: Version, server_time: i64) -> Response<Body> {
    let row = rejection.refusal.row();
    let (refused, refused_more) = rejection.refused.as_ref().map_or((None, None), items);
    let text = Text {
        code: Some(row.answer),
        message: Some(message(rejection.refusal)),
        batch: rejection.batch.map(|b| b.to_string()),
        refused,
        refused_more,
        field: rejection.fault.and_then(|f| f.field),
        line: rejection.fault.and_then(|f| f.line),
        column: rejection.fault.and_then(|f| f.column),
        server_time,
        ..Text::default()
    };
    let mut response = json(StatusCode::from_u16(row.status).unwrap_or(StatusCode::BAD_REQUEST), &text);
    let headers = response.headers_mut();
    if matches!(row.status, 429 | 503) {
        let fallback = if rejection.refusal == Refusal::TooManySpools { RETRY_LATE_S } else { RETRY_SOON_S };
        headers.insert(RETRY_AFTER, rejection.retry_after_s.unwrap_or(fallback).into());
    }
    if rejection.refusal == Refusal::MethodNotAllowed {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    // What follows on such a connection may not be a request (RFC 9112, section 6.1).
    let unsure = matches!(rejection.refusal, Refusal::LengthRequired | Refusal::BodyTimeout | Refusal::BodyTooLarge);
    if unsure && version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn json(status: StatusCode, text: &Text<'_>) -> Response<Body> {
    raw_json(status, serde_json::to_vec(text).unwrap_or_default())
}

fn raw_json(status: StatusCode, text: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer of `/health/…`.
pub(crate) fn health(status: &str, healthy: bool, server_time: i64) -> Response<Body> {
    let text = format!("{{\"status\":\"{status}\",\"server_time\":{server_time}}}");
    raw_json(if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text.into_bytes())
}

/// The answer of `/health/ready` if the clock cannot be believed: its time, and that of the others or of the log.
pub(crate) fn clock_differs(clock_ms: i64, log_ms: i64) -> Response<Body> {
    let text = format!(
        "{{\"status\":\"clock_differs\",\"clock_ms\":{clock_ms},\"log_ms\":{log_ms},\"skew_ms\":{},\"server_time\":{log_ms}}}",
        clock_ms.saturating_sub(log_ms)
    );
    raw_json(StatusCode::SERVICE_UNAVAILABLE, text.into_bytes())
}
