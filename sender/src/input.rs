//! Reads the input line by line, within bounds, and says which lines are no signals.

use std::io::{self, BufRead, Read};

use logystera_schemas::limits::{EXPLAINED_LINES_MAX, LINE_BYTES_MAX};

use crate::core::foreign::BYTE_ORDER_MARK;
use crate::core::line::{self, LineError, Signal};

/// Reads lines of bounded length.
pub struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads from the first line on.
    pub fn new(reader: R) -> Self {
        Self::after(reader, 0)
    }

    /// Reads on where so many lines were read before.
    pub fn after(reader: R, number: u64) -> Self {
        Self { reader, line: Vec::new(), number }
    }

    /// The next line's number, from 1, and its bytes without the line's end. Of a line over [`LINE_BYTES_MAX`] only so
    /// much is given that it is seen to be too long.
    pub fn next_line(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        self.line.clear();
        let cap = LINE_BYTES_MAX as u64 + 2;
        if (&mut self.reader).take(cap).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        let is_cut = self.line.len() as u64 == cap;
        self.number += 1;
        if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        if self.line.ends_with(b"\n") {
            self.line.pop();
            if self.line.ends_with(b"\r") {
                self.line.pop();
            }
        } else if is_cut {
            self.skip_rest()?;
        }
        Ok(Some((self.number, &self.line)))
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|b| *b == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() || used == 0 {
                return Ok(());
            }
        }
    }

    /// The reader, to ask it whether more is there.
    pub fn reader(&self) -> &R {
        &self.reader
    }
}

/// Says what is wrong with lines of the input, up to a limit, and counts them all.
#[derive(Debug, Default)]
pub struct Complaints {
    /// Lines that there was something to say of.
    pub count: u64,
}

impl Complaints {
    /// Complains about a line on standard error.
    pub fn say(&mut self, number: u64, what: &dyn std::fmt::Display) {
        self.count += 1;
        match self.count {
            n if n <= EXPLAINED_LINES_MAX => eprintln!("line {number}: {what}"),
            n if n == EXPLAINED_LINES_MAX + 1 => eprintln!("… more lines like these are only counted"),
            _ => {}
        }
    }
}

/// A signal, or none for an empty line.
pub(crate) fn signal(number: u64, bytes: &[u8]) -> Result<Option<Signal>, LineError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    line::read(number, bytes).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let mut lines = Lines::new(&b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n"[..]);
        assert_eq!(lines.next_line().unwrap(), Some((1, &b"{}"[..])));
        assert_eq!(lines.next_line().unwrap().map(|(_, line)| line.len()), Some(5), "only there");
    }

    #[test]
    fn lines_are_bounded_and_numbered() {
        let long = "a".repeat(LINE_BYTES_MAX);
        let text = format!("one\r\n\n{long}\n{long}bcdefgh\nlast");
        // A small buffer, so that skipping a long line takes several reads.
        let mut lines = Lines::new(io::BufReader::with_capacity(100, text.as_bytes()));
        let mut got = Vec::new();
        while let Some((number, bytes)) = lines.next_line().unwrap() {
            got.push((number, bytes.len()));
        }
        assert_eq!(got, [(1, 3), (2, 0), (3, LINE_BYTES_MAX), (4, LINE_BYTES_MAX + 2), (5, 4)]);
    }
}
