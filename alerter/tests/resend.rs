//! Deliveries that somebody asked for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::play;

#[test]
fn what_was_delivered_or_given_up_is_sent_again_under_an_id_of_its_own() {
    play(
        "channels a b
         firing 1
         due => a1#1 b1#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         start b1 => b1#1 started
         end b1 404 => b1#1 failed status_404 next ~5s
         resend a 1 => a1-again1#0 waiting resent next 0s
         due => a1-again1#1
         start a1-again1 => a1-again1#1 started
         end a1-again1 500 => a1-again1#1 failed status_500 next ~5s
         resend a 1 => a1-again2#0 waiting resent next 0s
         due => a1-again2#1
         at 6s
         due => a1-again2#1 b1#2",
    );
}

/// Nobody forgets what the channel heard before because one more try of it fails.
#[test]
fn the_end_of_what_was_told_is_told_though_a_resend_of_it_is_given_up() {
    play(
        "channels a
         firing 1 x e1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         resend a 1 => a1-again1#0 waiting resent next 0s
         start a1-again1 => a1-again1#1 started
         end a1-again1 404 => a1-again1#1 failed status_404 next ~5s
         at 10s
         start a1-again1 => a1-again1#2 started
         end a1-again1 404 => a1-again1#2 dead status_404
         resolved 2 x e1
         due => a2#1",
    );
}

#[test]
fn the_end_of_what_only_a_resend_told_is_told() {
    play(
        "channels a
         firing 1 x e1
         start a1 => a1#1 started
         end a1 404 => a1#1 failed status_404 next ~5s
         at 10s
         start a1 => a1#2 started
         end a1 404 => a1#2 dead status_404, -1#0 not_sent nobody_told
         resend a 1 => a1-again1#0 waiting resent next 0s
         start a1-again1 => a1-again1#1 started
         end a1-again1 ok => a1-again1#1 delivered
         resolved 2 x e1
         due => a2#1",
    );
}

/// It is told by itself: nothing of the fault overtakes it or waits for it, in this process or in the next one.
#[test]
fn news_of_the_fault_goes_beside_it() {
    play(
        "channels a
         firing 1 x e1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         resend a 1 => a1-again1#0 waiting resent next 0s
         resolved 2 x e1
         firing 3 x e3
         due => a1-again1#1 a2#1
         start a1-again1 => a1-again1#1 started
         due => a2#1
         start a2 => a2#1 started
         end a1-again1 ok => a1-again1#1 delivered
         end a2 ok => a2#1 delivered
         due => a3#1",
    );
}

#[test]
fn an_old_alert_is_sent_at_once_and_a_suppressed_one_too() {
    play(
        "channels a
         suppressed 1 x e1 1h => -1#0 not_sent suppressed
         resend a 1 => a1-again1#0 waiting resent next 0s
         due => a1-again1#1",
    );
}

#[test]
fn what_cannot_be_sent_again_has_a_row_that_says_why() {
    play(
        "channels a b
         firing 1
         channels a => b1#0 not_sent channel_removed
         resend b 1 => b1-again1#0 not_sent channel_removed
         start a1 => a1#1 started
         end a1 410 => a1#1 failed status_410 next 1h
         at 61m
         start a1 => a1#2 started
         end a1 410 => a1#2 dead status_410, -1#0 not_sent nobody_told, -1(no-more-a)#0 not_sent no_channel
         resend a 1 => a1-again2#0 not_sent channel_disabled
         enable a
         resend a 1 => a1-again3#0 waiting resent next 0s
         channels => a1-again3#0 not_sent channel_removed",
    );
}
