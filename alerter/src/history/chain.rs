//! The chain of a tenant's rows, followed as they stand in topic `attempts`.

use logystera_schemas::delivery::Attempt;
use logystera_schemas::ids::Sha256Digest;

/// How far a tenant's chain was followed.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// Rows that are linked.
    pub linked: u64,
    /// Rows of versions that linked none.
    pub unlinked: u64,
    /// Numbers of the first linked row that stands there, and of the last.
    pub numbers: Option<(u64, u64)>,
    newest: Option<Sha256Digest>,
}

impl Chain {
    /// Takes the next row, which was read from `value`. `is_cut`: rows before the first one that stands there have
    /// passed their time. Gives what is wrong with it, if anything is.
    pub fn follow(&mut self, row: &Attempt, value: &[u8], is_cut: bool) -> Option<String> {
        let (Some(chain), number @ 1..) = (row.chain, row.number) else {
            self.unlinked += 1;
            return self.numbers.map(|_| "it has no link, and stands behind linked rows".to_owned());
        };
        let before = self.numbers.map_or(0, |(_, newest)| newest);
        // What stood before the oldest row that is left is not known, unless that is the very first.
        let is_base = self.numbers.is_none() && is_cut && self.unlinked == 0 && number > 1;
        let previous = self.newest.unwrap_or_else(|| Attempt::genesis(&row.tenant));
        self.linked += 1;
        self.numbers = Some((self.numbers.map_or(number, |(first, _)| first), number));
        self.newest = Some(chain);
        let link = row.link_as_stored(&previous, value);
        match number {
            _ if is_base => None,
            _ if number <= before => Some(format!("it stands behind row {before}")),
            _ if number == before + 2 => Some(format!("row {} is missing before it", before + 1)),
            _ if number > before + 2 => Some(format!("rows {} to {} are missing before it", before + 1, number - 1)),
            _ if link != chain => {
                let (chain, link) = (chain.to_string(), link.to_string());
                Some(format!("its chain value is {chain:.16}…, what it says gives {link:.16}…"))
            }
            _ => None,
        }
    }
}
