//! Where the values are planted: in signals, bodies, batches that are not believed, heads of requests, and secrets.

use std::io::Write;

use logystera_system::post::{Post, body, connect, gzip, read_answer, signal};
use logystera_system::process::{PATIENCE, json, ok, run, wait_for};
use logystera_system::receiver::Receiver;
use logystera_system::refusals::status;
use logystera_system::wire::{self, Credentials, now_ms};

use super::leaks::{World, good};

/// Signals that are refused one by one, in a batch that is taken; then in one of which nothing is acceptable.
pub(crate) fn refused_signals(world: &mut World) {
    for (whole, status) in [("", 202), (" of a batch refused whole", 422)] {
        let now = now_ms();
        let at = now - 1_000;
        let good = signal(at, "good");
        let user = |hash: &str| {
            format!(r#"{{"type":"user.change","at":{at},"action":"created","role":"editor","user_hash":"{hash}"}}"#)
        };
        let http = |path: &str, more: &str| {
            format!(
                r#"{{"type":"http.request","at":{at},"method":"GET","path":"{path}","status":200,"route_group":"x"{more}}}"#
            )
        };
        let mut m = |name: &str| world.plant(&format!("{name}{whole}"));
        let extra = |field: &str| good.replace("\"job\"", &format!("{field},\"job\""));
        let escaped = m("an escaped value").bytes().map(|b| format!("\\u{b:04x}")).collect::<Vec<_>>().concat();
        let mut signals = vec![
            extra(&format!("\"password\":\"{}\"", m("a password in an extra field"))),
            extra(&format!("\"{}\":1", m("the name of an extra field"))),
            extra(&format!("\"x\":{{\"y\":[\"{}\"]}}", m("a nested value"))),
            extra(&format!("\"note\":\"{escaped}\"")),
            user(&m("a user's name in a hash field")),
            user(&format!("{}0123456", m("a hash of 31 digits"))),
            http(&format!("/account/{}@example.org", m("a mail address in a path")), ""),
            http(&format!("/reset?token={}", m("a query string in a path")), ""),
            http(&format!("/page#{}", m("a fragment in a path")), ""),
            http(&format!("https://{}.example.org/", m("a host in a path")), ""),
            http(&format!("/{}/{}", "a".repeat(260), m("a path that is too long")), ""),
            http("/", &format!(",\"user_agent\":\"{}\\u0007\"", m("a user agent with a control character"))),
            http("/", &format!(",\"source\":\"{}\"", m("an address in `source`"))),
            good.replace("cron.run", "form.submit").replace("good", &m("a field of an unknown type")),
            good.replace("cron.run", &m("the name of an unknown type")),
            good.replace("\"ok\"", &format!("\"{}\"", m("an enum's value"))),
            good.replace("good", &format!("{} with blanks", m("a job that is a sentence"))),
            good.replace(&at.to_string(), &format!("\"{}\"", m("a time"))),
            good.replace(&at.to_string(), &(now - 8 * 86_400_000).to_string())
                .replace("good", &m("a job of last week")),
            good.replace(",\"outcome\":\"ok\"", "").replace("good", &m("a job that lacks a field")),
            format!("\"{}\"", m("a signal that is text")),
            format!("[\"{}\"]", m("a signal that is a list")),
        ];
        if status == 202 {
            signals.push(good.clone());
        }
        let sent = body(now, &signals.join(","));
        let post = world.post(sent.clone());
        world.send(&format!("refused signals{whole}"), &post, status);
        let post = world.post(sent).zipped();
        world.send(&format!("refused signals{whole}, zipped"), &post, status);
    }
}

/// Batches that are refused whole by what they are.
pub(crate) fn refused_bodies(world: &mut World) {
    let now = now_ms();
    let good = String::from_utf8(body(now, &signal(now - 1_000, "good"))).expect("UTF-8");
    let mut m = |name: &str| world.search.plant(name);
    let job = |value: &str| good.replace("\"good\"", &format!("\"{value}\""));
    let mut bodies: Vec<(&str, Vec<u8>, u16)> = Vec::new();
    let mut add = |what, body: String, status| bodies.push((what, body.into_bytes(), status));
    add("duplicate key", job(&m("in a duplicate key")).replace("\"job\"", "\"job\":\"x\",\"job\""), 400);
    add("malformed", good.replace("\"outcome\"", &m("where JSON breaks off")), 400);
    add("malformed behind", job(&m("before JSON breaks off")).replace("]}", "]]"), 400);
    add("trailing", format!("{good}\"{}\"", m("behind the JSON")), 400);
    add("surrogate", job(&format!("{}\\udc00", m("beside a lone surrogate"))), 400);
    add(
        "through",
        good.replace(&format!("\"through\":{now}"), &format!("\"through\":\"{}\"", m("`through` as text"))),
        400,
    );
    add("platform", good.replace("\"other\"", &format!("\"{}\"", m("a platform"))), 400);
    add("version", good.replace("1.0.0", &format!("{} beta", m("a version with a blank"))), 400);
    add(
        "enabled",
        good.replace("\"cron.run\",\"http", &format!("\"{}\",\"http", m("a type that is switched on"))),
        202,
    );
    add(
        "site url",
        good.replace(
            "\"version\"",
            &format!("\"site_url\":\"https://{}.org\",\"version\"", m("an integration's field")),
        ),
        202,
    );
    add("host", good.replace("{\"through\"", &format!("{{\"host\":\"{}\",\"through\"", m("a field of the head"))), 202);
    add(
        "head's name",
        good.replace("{\"through\"", &format!("{{\"{}\":1,\"through\"", m("the name of a field of the head"))),
        202,
    );
    add("deep", format!("{{\"x\":{}\"{}\"{}}}", "[".repeat(40), m("deep in lists"), "]".repeat(40)), 400);
    add("too many", body_of(&vec![signal(now - 1_000, &m("in 1,001 signals")); 1_001]), 413);
    for (what, body, status) in bodies {
        let post = world.post(body);
        world.send(what, &post, status);
    }
    let raw_bytes =
        |text: String, from: u8, to: u8| text.bytes().map(|b| if b == from { to } else { b }).collect::<Vec<_>>();
    let value = world.plant("beside bytes that are not UTF-8");
    let post = world.post(raw_bytes(job(&format!("{value}~")), b'~', 0xff));
    world.send("not UTF-8", &post, 400);
    let value = world.plant("in what is not gzip");
    let post = Post { encoding: Some("gzip".into()), ..world.post(job(&value)) };
    world.send("not gzip", &post, 400);
    let value = world.plant("behind gzip");
    let post =
        Post { encoding: Some("gzip".into()), ..world.post([gzip(good.as_bytes()), value.into_bytes()].concat()) };
    world.send("behind gzip", &post, 400);
    let value = world.plant("a comment in gzip's header");
    let zipped = gzip_with_comment(good.as_bytes(), &value);
    let post = Post { encoding: Some("gzip".into()), ..world.post(zipped) };
    world.send("a comment in gzip's header", &post, 202);
    let value = world.plant("in a gzip bomb");
    let post = world.post([value.as_bytes(), &vec![b' '; 9 << 20]].concat()).zipped();
    world.send("gzip bomb", &post, 413);
    let value = world.plant("in a body over 1 MiB");
    let post = world.post([value.as_bytes(), &vec![b' '; 1 << 20]].concat());
    world.send("too large", &post, 413);
}

fn body_of(signals: &[String]) -> String {
    String::from_utf8(body(now_ms(), &signals.join(","))).expect("UTF-8")
}

fn gzip_with_comment(bytes: &[u8], comment: &str) -> Vec<u8> {
    let zipped = gzip(bytes);
    // RFC 1952, section 2.3: the flags' fifth bit says that a comment follows the header, ended by a zero.
    [&zipped[..3], &[0x10], &zipped[4..10], comment.as_bytes(), &[0], &zipped[10..]].concat()
}

/// Batches whose every signal is allowed, but which are not believed, or are there already.
pub(crate) fn unbelieved(world: &mut World) {
    let good = |value: &str| {
        let now = now_ms();
        body(now, &signal(now - 1_000, value))
    };
    let value = world.plant("a good batch with a wrong signature");
    let stranger = Credentials { secret: vec![7; 32], ..world.site.clone() };
    let post = Post { by: stranger, ..world.post(good(&value)) };
    world.send("wrong signature", &post, 401);
    let value = world.plant("a good batch of an hour ago");
    let post = world.post(good(&value));
    world.send("clock skew", &Post { ts: post.ts - 3_600, ..post }, 401);
    let first = world.post(good("first"));
    world.send("first", &first, 202);
    let value = world.plant("other content under an id that was used");
    world.send("conflict", &Post { body: good(&value), ..first }, 409);
    let value = world.plant("a body without a signature");
    let post = world.post(good(&value));
    let head = post.head();
    let unsigned = head.split_once("Logystera").expect("a header").0;
    world.send_raw("no signature", &post.with_head(unsigned), 401);
    let value = world.plant("a body in chunks");
    let chunks =
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{value}\r\n0\r\nX-Trailer: {value}\r\n\r\n", value.len());
    world.send_raw("chunks", format!("{unsigned}{chunks}").as_bytes(), status("length_required"));
    let (key, site) = (world.plant("an unknown key's id"), world.plant("an unknown site's id"));
    let by = Credentials { key, ..world.site.clone() };
    let post = Post { by, ..world.post(good("x")) };
    world.send("unknown key", &post, 401);
    let post = Post { by: Credentials { site, ..world.site.clone() }, ..world.post(good("x")) };
    world.send("unknown site", &post, 401);
    let value = world.plant("in a body that broke off");
    let request = world.post(good(&value)).request();
    let mut stream = connect(world.port);
    stream.write_all(&request[..request.len() - 5]).expect("bytes can be sent");
    stream.shutdown(std::net::Shutdown::Write).expect("a connection can be half closed");
    let answer = read_answer(&mut stream);
    assert_eq!(world.hear(&answer), status("body_broken"));
}

/// Addresses, headers and bytes that are no HTTP.
pub(crate) fn heads(world: &mut World) {
    let mut m = |name: &str| world.search.plant(name);
    let names = [
        "X-User",
        "Cookie",
        "Authorization",
        "User-Agent",
        "Referer",
        "X-Forwarded-For",
        "Traceparent",
        "Logystera-Note",
    ];
    let mut headers = names.map(|name| format!("{name}: {}\r\n", m(&format!("in the header {name}")))).to_vec();
    headers.push(format!("{}: 1\r\n", m("the name of a header")));
    let type_value = format!("application/{}", m("in a content type"));
    let coding = m("a content encoding");
    let malformed = format!("Logystera-Signature: v1 {}\r\n", m("in a malformed signature"));
    let host = format!("Host: {}.example.org\r\n", m("a host"));
    let requests = [
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", m("a path of nobody's")), 404),
        (format!("POST /v1/batches?x={} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", m("in a query")), 404),
        (format!("{} /v1/batches HTTP/1.1\r\nHost: x\r\n\r\n", m("a method").to_uppercase()), 405),
        (format!("GET / {}\r\n\r\n", m("a version of HTTP")), 400),
        (format!("\x16\x03\x01{}\r\n\r\n", m("no HTTP at all")), 400),
        (format!("GET / HTTP/1.1\r\nHost: x\r\na: {}{}\r\n\r\n", m("too large headers"), "b".repeat(20_000)), 431),
    ];
    let admin_path = format!("/metrics?x={}", m("in a query to operators"));
    let admin_other = format!("/{}", m("a path to operators"));
    let good = good();
    let post = world.post(good.clone());
    let head = post.head().replace("Host: x\r\n", &host) + &headers.concat();
    world.send_raw("headers", &post.with_head(&head), 202);
    let post = Post { content_type: type_value, ..world.post(good.clone()) };
    world.send("content type", &post, 415);
    let post = Post { encoding: Some(coding), ..world.post(good.clone()) };
    world.send("content encoding", &post, 415);
    let post = world.post(good);
    let unsigned = post.head().split_once("Logystera").expect("a header").0.to_owned();
    world.send_raw("malformed signature", &post.with_head(&(unsigned + &malformed)), 401);
    for (request, status) in requests {
        let what = request.chars().take(20).collect::<String>();
        world.send_raw(&what, request.as_bytes(), status);
    }
    for path in [admin_path, admin_other] {
        let answer = wire::get(world.admin_port, &path).expect("operators are answered");
        world.hear(&answer);
    }
}

/// Secrets: of keys in use, ended and revoked, of a channel and of its address; and the MACs of good batches.
pub(crate) fn secrets(world: &mut World, receiver: &Receiver) {
    let data = world.data.to_str().expect("UTF-8").to_owned();
    let secret = world.site.secret.clone();
    world.search.add("the site's secret", &secret);
    world.search.add("the site's secret in hex", wire::to_hex(&secret).as_bytes());
    let issued = Credentials::from_json(&json(&["site", "rotate-key", &world.site.site, "--json", "--data", &data])[0]);
    world.search.add("a revoked secret", &issued.secret);
    ok(&["site", "revoke-key", &issued.site, &issued.key, "--data", &data]);
    let good = good();
    let post = Post { by: issued, ..world.post(good.clone()) };
    world.send("revoked", &post, 401);
    let token = world.plant("in a channel's address");
    let url = format!("http://user:{token}@127.0.0.1:{}/hook/{token}?t={token}", receiver.port);
    let added = run(&["channel", "add", "webhook", &url, "--tenant", &world.site.site, "--json", "--data", &data]);
    let channel = if added.status.success() {
        added
    } else {
        // An address with a password in it is refused; what is said of it is heard too.
        world.heard.extend(added.stderr.clone());
        let url = format!("http://127.0.0.1:{}/hook/{token}?t={token}", receiver.port);
        run(&["channel", "add", "webhook", &url, "--tenant", &world.site.site, "--json", "--data", &data])
    };
    assert!(channel.status.success(), "{channel:?}");
    let told: serde_json::Value = serde_json::from_slice(&channel.stdout).expect("JSON");
    let secret = told["secret"].as_str().expect("a secret").to_owned();
    world.search.add("a channel's secret", secret.trim_start_matches("whsec_").as_bytes());
    let now = now_ms();
    let failed = signal(now - 1_000, "failing").replace("\"ok\"", "\"failed\"");
    let post = world.post(body(now, &failed));
    let mac = post.signature().rsplit_once('=').expect("a MAC").1.to_owned();
    world.search.add("a good batch's MAC", mac.as_bytes());
    world.send("an alert", &post, 202);
    wait_for("the alert is delivered", PATIENCE, || (!receiver.deliveries().is_empty()).then_some(()));
}
