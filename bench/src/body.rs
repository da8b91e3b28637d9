//! W1's signals as senders write them: the JSON of a batch.

use std::fmt::Write as _;

use logystera_schemas::ids::Sha256Digest;

use crate::w1::{PeerBatch, PeerKind, PeerSignal, mix, path, source_id};

/// The body of a batch whose times are shifted by `shift_ms`. The fields are those of [`crate::convert`].
pub fn json(peer: &PeerBatch, shift_ms: i64) -> String {
    let mut to = String::with_capacity(16 << 10);
    let _ = write!(
        to,
        r#"{{"through":{},"integration":{{"platform":"wordpress","version":"1.0.0","enabled":["auth.attempt","mail.outcome","cron.run","php.error","http.request"]}},"signals":["#,
        peer.sent_at + shift_ms
    );
    for (index, signal) in peer.signals.iter().enumerate() {
        if index > 0 {
            to.push(',');
        }
        let _ = write_signal(&mut to, peer.site, signal, shift_ms);
    }
    to.push_str("]}");
    to
}

fn write_signal(to: &mut String, site: usize, peer: &PeerSignal, shift_ms: i64) -> std::fmt::Result {
    let at = peer.occurred_at + shift_ms;
    let source = hash(peer.source.map_or(0, |source| source_id(site, source)));
    match peer.kind {
        PeerKind::Http => {
            let (path, group) = (path(peer.path.unwrap_or(0)), if peer.path == Some(0) { "login" } else { "shop" });
            let (status, duration) = (peer.status.unwrap_or(200), peer.duration_ms.unwrap_or(0));
            write!(
                to,
                r#"{{"type":"http.request","at":{at},"method":"GET","path":"{path}","status":{status},"route_group":"{group}","duration_ms":{duration},"source":"{source}"}}"#
            )
        }
        PeerKind::Auth => {
            let (digits, length) = peer.user.unwrap_or(([b'0'; 16], 0));
            let user = Sha256Digest::of(&digits).to_string();
            let outcome = if peer.failed { r#""failure","reason":"bad_password""# } else { r#""success""# };
            write!(
                to,
                r#"{{"type":"auth.attempt","at":{at},"outcome":{outcome},"method":"form","user_hash":"{}","user_length":{length},"source":"{source}"}}"#,
                &user[..32]
            )
        }
        PeerKind::Mail => {
            let outcome = if peer.failed { "failed" } else { "sent" };
            write!(to, r#"{{"type":"mail.outcome","at":{at},"outcome":"{outcome}"}}"#)
        }
        PeerKind::Cron => {
            let duration = peer.duration_ms.unwrap_or(0);
            write!(
                to,
                r#"{{"type":"cron.run","at":{at},"job":"wp_version_check","outcome":"ok","duration_ms":{duration}}}"#
            )
        }
        PeerKind::Php => {
            let (file, message) = (hash(peer.path.unwrap_or(0) as u64), hash(mix(at as u64)));
            write!(
                to,
                r#"{{"type":"php.error","at":{at},"level":"warning","component":"theme","file_hash":"{file}","message_hash":"{message}"}}"#
            )
        }
    }
}

fn hash(id: u64) -> String {
    format!("{id:016x}{:016x}", mix(id))
}
