//! What the data folder grows by is what docs/running.md says.

use std::path::Path;

use logystera_system::docs::root;
use logystera_system::hostile::add_site;
use logystera_system::post::{Post, body};
use logystera_system::process::{Up, free_port};
use logystera_system::wire::now_ms;

const BATCHES: u64 = 300;
/// Bytes of a page of the file.
const PAGE: u64 = 16 << 10;
/// How far off the guide may be, in percent: ticks and the engine's state are in the file too.
const OFF_PERCENT_MAX: u64 = 15;

/// Makes a signal of a time and a number.
type Signal = fn(i64, u64) -> String;

/// What the guide says that a batch takes: small ones share a page, others have pages of their own.
fn told(signals: u64, signal_bytes: u64) -> u64 {
    let bytes = 120 + signals * signal_bytes;
    if bytes < PAGE { PAGE / (PAGE / bytes) } else { bytes.div_ceil(PAGE) * PAGE }
}

fn file_bytes(data: &Path) -> u64 {
    std::fs::metadata(data.join("logystera.sqlite")).map_or(0, |file| file.len())
}

#[test]
fn the_folder_grows_as_the_guide_says() {
    let guide = std::fs::read_to_string(root().join("docs/running.md")).expect("the guide");
    let cron = |at: i64, n: u64| {
        let job = n % 20;
        format!(r#"{{"type":"cron.run","at":{at},"job":"wp_scheduled_{job}","outcome":"ok","duration_ms":{n}}}"#)
    };
    let auth = |at: i64, n: u64| {
        let (user, source) = (n % 7, n % 5);
        format!(
            r#"{{"type":"auth.attempt","at":{at},"outcome":"success","method":"form","user_hash":"{user:032x}","source":"{source:032x}"}}"#
        )
    };
    let http = |at: i64, n: u64| {
        let (agent, source) = ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0.0.0", n % 5);
        format!(
            r#"{{"type":"http.request","at":{at},"method":"GET","path":"/shop/category-1/product-{n}","status":200,"route_group":"shop","user_agent":"{agent}","duration_ms":7,"source":"{source:032x}"}}"#
        )
    };
    let kinds: [(&str, u64, Signal); 3] =
        [("cron.run", 27, cron), ("auth.attempt", 47, auth), ("http.request", 145, http)];
    for (kind, signal_bytes, signal) in kinds {
        assert!(guide.contains(&format!("{signal_bytes} bytes for `{kind}`")), "{kind}");
        for signals in [10, 100, 1_000] {
            let batches = if signals == 1_000 { BATCHES / 10 } else { BATCHES };
            let dir = tempfile::tempdir().expect("a temporary folder");
            let data = dir.path().join("data");
            let port = free_port();
            let up = Up::start(&data, port, free_port(), &[]);
            let by = add_site(&data, "shop");
            up.stop();
            let before = file_bytes(&data);
            let up = Up::start(&data, port, free_port(), &[]);
            for batch in 1..=batches {
                let now = now_ms();
                let lines: Vec<_> = (0..signals).map(|n| signal(now - 1_000, batch * signals + n)).collect();
                let answer =
                    Post::new(&by, format!("00000000000000aa.{batch}"), body(now, &lines.join(","))).send(port);
                assert_eq!(answer.status, 202, "{}", answer.body);
            }
            up.stop();
            let (grew, told) = ((file_bytes(&data) - before) / batches, told(signals, signal_bytes));
            println!("{signals} of {kind}: {grew} bytes a batch, {told} by the guide");
            assert!(grew.abs_diff(told) * 100 <= told * OFF_PERCENT_MAX, "{signals} of {kind}: {grew}, not {told}");
        }
    }
}
