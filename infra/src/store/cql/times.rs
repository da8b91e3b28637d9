//! Write times of claims. Those of rows are versions; a version leaves four of them to its claims, so that one that is taken back
//! stays so, whoever comes late. Pure.

/// Of a claim that a commit of this version makes.
pub(super) const fn claim(version: u64) -> i64 {
    (version * 4) as i64
}

/// Of taking back all claims up to this version: the rows are about to be written anew.
pub(super) const fn mark(version: u64) -> i64 {
    claim(version) + 1
}

/// Of the claim that everything stands anew.
pub(super) const fn rewritten(version: u64) -> i64 {
    claim(version) + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_was_taken_back_stays_so_and_the_next_one_counts() {
        let in_order =
            [claim(0), mark(0), rewritten(0), claim(1), mark(1), rewritten(1), claim(1 << 48), claim(8_191 << 48)];
        assert!(in_order.is_sorted_by(|a, b| a < b), "{in_order:?}");
    }
}
