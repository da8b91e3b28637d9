//! What is said on the terminal. A line that cannot be written, for the disk is full or nobody reads any more, is no reason to
//! end: the standard macros panic then, which aborts the process. These stand in their place in each crate that takes them with
//! `#[macro_use] extern crate logystera_infra`.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Something for standard output was lost that somebody would have read.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes to standard output.
pub fn out(text: Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_fmt(text).and_then(|()| stdout.flush());
    // A reader that had enough, such as `head`, misses nothing.
    if written.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Writes to standard output what nothing depends on: a process that serves has done what it was asked without it.
pub fn aside(text: Arguments<'_>) {
    drop(io::stdout().lock().write_fmt(text));
}

/// Writes to standard error.
pub fn err(text: Arguments<'_>) {
    // There is no other place to complain.
    drop(io::stderr().lock().write_fmt(text));
}

/// Whether standard output is not whole: a command that was only asked to print has not done what it was asked.
pub fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Prints to standard output.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::terminal::out(format_args!($($text)*)) };
}

/// Prints a line to standard output.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => { $crate::terminal::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints to standard error.
#[macro_export]
macro_rules! eprint {
    ($($text:tt)*) => { $crate::terminal::err(format_args!($($text)*)) };
}

/// Prints a line to standard error.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::terminal::err(format_args!("{}\n", format_args!($($text)*))) };
}
