//! The real servers that `tests/run services` starts.

/// The broker to test against. None where nobody named one: the test has nothing to say then, except in CI, where it fails.
pub fn kafka() -> Option<String> {
    named("LOGYSTERA_TEST_KAFKA")
}

#[expect(clippy::disallowed_methods, reason = "a test is told where its server is by the script that started it")]
fn named(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} names no server: run this by `tests/run services`");
        println!("not tested: {variable} names no server; `tests/run services` starts one");
    }
    address
}
