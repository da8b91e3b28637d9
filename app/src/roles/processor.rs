//! The role that judges signals.

use std::sync::Arc;

use logystera_infra::clock::SystemClock;
use logystera_infra::pace::{IdleCommits, TimeWanted};
use logystera_infra::shutdown::Shutdown;
use logystera_kafka::partitions::{self, Control, Run, Work};
use logystera_processor::task::{self, EngineMachine, OutputPartitions};
use logystera_schemas::topic::Topic;

use super::marks::Marks;
use super::share::join;
use crate::cli::CliError;
use crate::installation::cluster::Installation;
use crate::serve::health::Health;
use crate::serve::rule_sets::ControlRules;

/// What a processor does for each of its partitions. They tell the log's time to `marks`.
pub fn work(control: Control, marks: Marks) -> Work {
    Arc::new(move |run: Run<'_>| {
        let outputs = OutputPartitions::of(|topic| run.layouts.written(topic).partitions);
        let Control { log, view } = control.clone();
        let machine = EngineMachine::new(run.place, outputs, ControlRules { log, view }).telling(marks.of(run.place));
        // Alerters learn of the time by marks, not by its commits: nobody waits for one.
        let idle = IdleCommits::Seldom(TimeWanted::default());
        task::run(machine, run.task, &SystemClock::new(), idle, run.stop)
    })
}

pub(super) async fn serve(installation: &Installation, health: &Health, shutdown: &Shutdown) -> Result<(), CliError> {
    let (share, control) = join(installation, task::APP, Topic::Signals, health, shutdown)?;
    let (marks, Control { log, view }) = (Marks::default(), share.control.clone());
    let forwarding = marks.clone().forward(share.kafka.config().clone(), log, view, shutdown.clone());
    let forwarding = tokio::spawn(forwarding);
    let (work, shutdown) = (work(share.control.clone(), marks), shutdown.clone());
    let done = tokio::task::spawn_blocking(move || {
        let done = partitions::run(&share, &work, &shutdown);
        drop(control.join());
        done
    });
    done.await.map_err(CliError::not_available)??;
    forwarding.await.map_err(CliError::not_available)
}
