//! Texts that are expected at a place of a body. The names and symbols that senders write are known beforehand and
//! mostly short: one comparison finds each.

/// Bytes that are compared at once.
const HEAD: usize = 16;

/// A text to look for.
pub(super) struct Expected {
    /// Its first bytes, little-endian.
    head: u128,
    /// All ones for the bytes that `head` holds.
    mask: u128,
    text: Vec<u8>,
}

impl Expected {
    pub(super) fn new(text: String) -> Self {
        let mut head = [0; HEAD];
        let mut mask = [0; HEAD];
        for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(text.bytes()) {
            (*head, *mask) = (byte, u8::MAX);
        }
        Self { head: u128::from_le_bytes(head), mask: u128::from_le_bytes(mask), text: text.into_bytes() }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether `bytes` begin with it.
    #[inline]
    pub(super) fn begins(&self, bytes: &[u8]) -> bool {
        match bytes.first_chunk() {
            Some(head) => {
                (u128::from_le_bytes(*head) ^ self.head) & self.mask == 0
                    && (self.text.len() <= HEAD || bytes[HEAD..].starts_with(&self.text[HEAD..]))
            }
            None => bytes.starts_with(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_what_begins_with_it_whatever_their_lengths() {
        let text: String = ('a'..='z').collect();
        for length in 0..=text.len() {
            let expected = Expected::new(text[..length].to_owned());
            assert_eq!(expected.len(), length);
            for there in 0..=text.len() {
                assert_eq!(expected.begins(&text.as_bytes()[..there]), there >= length, "{length} of {there}");
            }
            for wrong in 0..length {
                let mut other = text.clone().into_bytes();
                other[wrong] ^= 0x20;
                assert!(!expected.begins(&other), "{length}, another at {wrong}");
            }
        }
    }
}
