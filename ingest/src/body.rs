//! Reads a body: under the cap, in time, within the room that all unverified bodies share, and hashed as it comes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::limits::WIRE_BYTES_MAX;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::core::refusal::Refusal;

/// A body as it was sent.
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Sha256Digest,
    /// Its share of the room for unverified bodies.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// Reads `body` within `wait`. `declared` is its `Content-Length`.
pub(crate) async fn receive(
    body: Body,
    declared: Option<usize>,
    budget: &Arc<Semaphore>,
    wait: Duration,
) -> Result<Received, Refusal> {
    if declared.is_some_and(|length| length > WIRE_BYTES_MAX) {
        return Err(Refusal::BodyTooLarge);
    }
    tokio::time::timeout(wait, read(body, declared, budget)).await.unwrap_or(Err(Refusal::BodyTimeout))
}

async fn read(mut body: Body, declared: Option<usize>, budget: &Arc<Semaphore>) -> Result<Received, Refusal> {
    // Room is taken for what has come, not for what was promised: a promise costs the sender nothing.
    let mut room: Option<OwnedSemaphorePermit> = None;
    let mut bytes = Vec::new();
    let mut hasher = Sha256::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::BodyBroken)?.into_data() else { continue };
        if bytes.len() + data.len() > WIRE_BYTES_MAX {
            return Err(Refusal::BodyTooLarge);
        }
        let share = budget.clone().try_acquire_many_owned(data.len() as u32).map_err(|_| Refusal::Busy)?;
        if let Some(room) = &mut room {
            room.merge(share);
        } else {
            room = Some(share);
            bytes.reserve(declared.unwrap_or(0).min(64 << 10));
        }
        hasher.update(&data);
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes, digest: Sha256Digest(hasher.finalize().into()), room })
}
