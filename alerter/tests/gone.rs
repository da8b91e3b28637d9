//! Channels that say that they are no more: tried once more, switched off, switched on. `common::play` explains the lines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::{play, play_behind};

/// A channel that has answered 410 once.
const GONE: &str = "
    channels a
    firing 1
    due => a1#1
    start a1 => a1#1 started
    end a1 410 => a1#1 failed status_410 next 1h";

#[test]
fn a_channel_that_answers_410_is_tried_once_more_after_an_hour() {
    play(
        "channels a b
         firing 1
         due => a1#1 b1#1
         start a1 => a1#1 started
         end a1 410 => a1#1 failed status_410 next 1h
         firing 2
         due => b1#1 b2#1
         at 59m
         due => b1#1 b2#1
         // What waits is tried in order, one at a time.
         at 60m
         due => a1#2 b1#1 b2#1
         start a1 => a1#2 started
         due => b1#1 b2#1
         end a1 ok => a1#2 delivered
         due => b1#1 a2#1 b2#1
         start a2 => a2#1 started
         // It is forgiven: this is a first one again.
         end a2 410 => a2#1 failed status_410 next 1h",
    );
}

#[test]
fn a_second_410_switches_a_channel_off_and_another_one_hears_of_it() {
    play(
        "channels a b
         firing 1
         firing 2
         firing 3
         due => a1#1 b1#1 a2#1 b2#1 a3#1 b3#1
         start a1 => a1#1 started
         start a2 => a2#1 started
         end a1 410 => a1#1 failed status_410 next 1h
         // In the air when the first one came, it says nothing new.
         end a2 410 => a2#1 failed status_410 next 1h
         at 61m
         start a1 => a1#2 started
         end a1 410 => a1#2 dead status_410, a2#1 dead channel_disabled, a3#0 not_sent channel_disabled
         due => b1#1 b2#1 b3#1 b1(no-more-a)#1
         firing 4 => a4#0 not_sent channel_disabled
         // It stays off while others come and go.
         channels a b c
         firing 5 => a5#0 not_sent channel_disabled
         // Removed and added again, it is another one.
         channels b c
         channels a b c
         firing 6",
    );
    play_behind(
        GONE,
        "at 1h
         start a1 => a1#2 started
         end a1 410 => a1#2 dead status_410, -1#0 not_sent nobody_told, -1(no-more-a)#0 not_sent no_channel
         firing 2 => a2#0 not_sent channel_disabled, -2#0 not_sent nobody_told",
    );
}

#[test]
fn a_channel_is_switched_on_again() {
    play_behind(
        GONE,
        "// Whoever knows better need not wait.
         enable a
         due => a1#2
         start a1 => a1#2 started
         end a1 410 => a1#2 failed status_410 next 1h
         at 1h
         start a1 => a1#3 started
         end a1 410 => a1#3 dead status_410, -1#0 not_sent nobody_told, -1(no-more-a)#0 not_sent no_channel
         firing 2 => a2#0 not_sent channel_disabled, -2#0 not_sent nobody_told
         enable a
         enable b
         firing 3
         due => a3#1
         start a3 => a3#1 started
         end a3 429/600 => a3#1 failed status_429 next 10m
         due
         enable a
         due => a3#2",
    );
}
