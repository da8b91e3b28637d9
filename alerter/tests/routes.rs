//! Which channel gets what, and when, by its settings, as timelines. `common::play` explains the lines. Scripts begin
//! at midnight, UTC.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::play;

#[test]
fn each_channel_gets_what_it_takes() {
    play(
        "channels a b c
         set a severity=critical
         set b subsystem=db subsystem=auth
         set c rule=other site=t-site
         firing 1
         firing 2 severity=warning rule=other
         firing 3 severity=info subsystem=auth
         due => a1#1 c2#1 b3#1
         // A detection that no channel takes has a row; a channel that does not take it has none.
         firing 4 severity=warning => -4#0 not_sent no_route
         firing 5 severity=info rule=other site=blog => -5#0 not_sent no_route
         resolved 6 severity=info x e4 => -6#0 not_sent no_route",
    );
}

#[test]
fn the_end_goes_to_those_who_were_told_whatever_is_set_since() {
    play(
        "channels a b
         set b severity=critical
         firing 1 x e1 severity=warning
         due => a1#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         set a severity=critical
         set b severity=info
         resolved 2 x e1 severity=warning => b2#0 not_sent never_told
         due => a2#1",
    );
}

/// Whoever takes only what is critical hears of an alert once it is, and of its end.
#[test]
fn an_alert_that_grows_worse_is_told_to_those_who_take_it_now_and_so_is_its_end() {
    play(
        "channels a b
         set b severity=critical
         firing 1 x e1 severity=warning
         due => a1#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         firing 2 x e1 severity=critical reason=escalated
         due => a2#1 b2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         start b2 => b2#1 started
         end b2 ok => b2#1 delivered
         resolved 3 x e1 severity=critical
         due => a3#1 b3#1",
    );
}

/// In an episode of which nothing was told before, the step is what begins it.
#[test]
fn an_alert_that_is_first_told_as_it_grows_worse_is_told_and_ends() {
    play(
        "channels a fallback
         enable a
         suppressed 1 x e1 severity=warning => -1#0 not_sent suppressed
         firing 2 x e1 severity=critical reason=escalated
         due => a2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         resolved 3 x e1 severity=critical
         due => a3#1",
    );
}

#[test]
fn who_does_not_want_to_hear_of_ends_does_not() {
    play(
        "channels a b
         set b no-resolved
         firing 1 x e1
         due => a1#1 b1#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         start b1 => b1#1 started
         end b1 ok => b1#1 delivered
         resolved 2 x e1 => b2#0 not_sent resolved_not_wanted
         due => a2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         // It is said once, after a restart too.
         at 1h
         due",
    );
}

#[test]
fn in_quiet_hours_a_channel_waits_for_their_end_and_hears_what_still_fires() {
    play(
        "channels a b
         set a quiet=22:00-07:00 except=critical
         at 21h
         firing 1 severity=warning x e1
         due => a1#1 b1#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         start b1 => b1#1 started
         end b1 ok => b1#1 delivered
         at 22h
         firing 2 severity=warning y e2 => a2#0 not_sent quiet_hours next 9h
         firing 3 severity=critical z e3
         firing 4 severity=info w e4 => a4#0 not_sent quiet_hours next 9h
         due => b2#1 a3#1 b3#1 b4#1
         // An end wakes nobody: it is told in the morning.
         resolved 5 severity=warning x e1 => a5#0 not_sent quiet_hours next 9h
         // What was over before it was told is not.
         resolved 6 severity=info w e4 => a4#0 not_sent superseded, a6#0 not_sent never_told, b4#0 not_sent superseded
         at 30h
         due => b2#1 a3#1 b3#1 b5#1 b6#1
         at 31h
         due => b2#1 a3#1 b3#1 a5#1 b5#1 a2#1 b6#1",
    );
}

#[test]
fn quiet_hours_are_told_by_the_clock_of_their_zone() {
    play(
        "channels a
         set a quiet=22:00-07:00+02:00
         firing 1 => a1#0 not_sent quiet_hours next 5h
         at 5h
         firing 2
         due => a1#1 a2#1
         at 20h
         firing 3 => a3#0 not_sent quiet_hours next 9h
         // Other hours are another end, and none is none.
         set a quiet=22:00-08:00+02:00 => a3#0 not_sent quiet_hours next 10h
         set a
         due => a1#1 a2#1 a3#1",
    );
}

#[test]
fn a_silence_that_ends_in_quiet_hours_is_over_with_them() {
    play(
        "channels a b
         set a quiet=01:00-07:00
         silence s1 2h
         firing 1 => a1#0 not_sent silenced next 7h, b1#0 not_sent silenced next 2h
         at 2h
         due => b1#1
         at 7h
         due => b1#1 a1#1",
    );
}

#[test]
fn what_a_channel_takes_no_more_when_its_time_comes_has_a_row() {
    play(
        "channels a b
         silence s1 2h
         firing 1 severity=warning => a1#0 not_sent silenced next 2h, b1#0 not_sent silenced next 2h
         set a severity=critical => a1#0 not_sent no_route
         at 2h
         due => b1#1",
    );
}

/// An end that waits for the morning, and a new episode of the same fault: both are told, in their order.
#[test]
fn an_end_that_is_held_back_is_told_before_the_next_beginning() {
    play(
        "channels a
         firing 1 x e1
         due => a1#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         set a quiet=00:00-06:00
         resolved 2 x e1 => a2#0 not_sent quiet_hours next 6h
         at 1h
         firing 3 x e3 => a3#0 not_sent quiet_hours next 5h
         at 6h
         due => a2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         due => a3#1",
    );
}

#[test]
fn switching_a_channel_on_keeps_what_it_takes() {
    play(
        "channels a
         set a severity=critical
         enable a
         firing 1 severity=warning => -1#0 not_sent no_route",
    );
}
