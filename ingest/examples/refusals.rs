//! Prints `docs/refusals.md`.

fn main() {
    print!("{}", logystera_ingest::core::refusal::document());
}
