//! The engine and the planner, each on a thread of its own, taken over anew when the log was away.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use logystera_alerter::courier::ChannelCourier;
use logystera_alerter::task::{self as alerter, PlannerMachine};
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::DirectoryView;
use logystera_infra::embedded::{Embedded, EmbeddedTask};
use logystera_infra::log::LogError;
use logystera_infra::pace::IdleCommits;
use logystera_infra::retries::Retries;
use logystera_infra::runtime::CycleError;
use logystera_infra::shutdown::Shutdown;
use logystera_processor::task::{self as processor, EngineMachine, OutputPartitions};
use logystera_schemas::limits::CONTROL_REFRESH_MS;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::Topic;
use tokio::runtime::Handle;

use super::running::Running;
use crate::cli::CliError;
use crate::serve::advice::RuleAdvice;
use crate::serve::rule_sets::ControlRules;
use crate::serve::secrets::ChannelTargets;

/// Takes both tasks over and runs them until `running.shutdown`.
pub(super) fn spawn(embedded: &Embedded, running: &Running) -> Result<Vec<JoinHandle<()>>, CliError> {
    // The first takeover is made here, so that a folder that cannot be used says so before anything is served.
    let engine = embedded.task(processor::APP, Topic::Signals)?;
    let planner = embedded.task(alerter::APP, Topic::Detections)?;
    let engine = {
        let (log, shutdown, directory) = (running.log.clone(), running.shutdown.clone(), running.directory.clone());
        let idle = IdleCommits::Seldom(running.time_wanted.clone());
        let run = move |mut task: EmbeddedTask| {
            task.pass_over(directory.caught_up(&log)?.skips(Topic::Signals, 0, 0));
            let rule_sets = ControlRules { log: log.clone(), view: directory.clone() };
            let machine = EngineMachine::new(PartitionRef::ONLY, OutputPartitions::ALONE, rule_sets);
            processor::run(machine, task, &SystemClock::new(), idle.clone(), &shutdown)
        };
        let log = running.log.clone();
        let again = move || log.task(processor::APP, Topic::Signals);
        let of = (processor::APP, Topic::Signals, running.directory.clone());
        keep_running(of, running.shutdown.clone(), engine, again, run)?
    };
    let planner = {
        let (running, runtime) = (running.clone(), Handle::current());
        let (log, shutdown) = (running.log.clone(), running.shutdown.clone());
        let (control, of) = (log.clone(), running.directory.clone());
        let run = move |mut task: EmbeddedTask| {
            task.pass_over(running.directory.caught_up(&control)?.skips(Topic::Detections, 0, 0));
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            let targets = ChannelTargets::new(running.directory.clone(), running.master.clone());
            let (outcome, outcomes) = alerter::outcomes();
            let url = running.deployment.url.clone();
            let advice = RuleAdvice::new(control.clone(), running.directory.clone());
            let (targets, advice) = (Arc::new(targets), Arc::new(advice));
            let courier =
                ChannelCourier::new(running.kinds.clone(), targets, advice, clock, url, runtime.clone(), outcome);
            let (machine, idle) = (PlannerMachine::new(0), IdleCommits::Seldom(running.time_wanted.clone()));
            alerter::run(machine, task, &courier, outcomes, &SystemClock::new(), idle, &running.shutdown)
        };
        let again = move || log.task(alerter::APP, Topic::Detections);
        keep_running((alerter::APP, Topic::Detections, of), shutdown, planner, again, run)?
    };
    Ok(vec![engine, planner])
}

/// Runs a task on a thread until `shutdown`. When it fails it is taken over anew, after a pause that doubles.
fn keep_running(
    (name, input, control): (&'static str, Topic, DirectoryView),
    shutdown: Shutdown,
    first: EmbeddedTask,
    again: impl Fn() -> Result<EmbeddedTask, LogError> + Send + 'static,
    run: impl Fn(EmbeddedTask) -> Result<(), CycleError> + Send + 'static,
) -> Result<JoinHandle<()>, CliError> {
    let running = metrics_gauge(name);
    let body = move || {
        let mut task = Ok(first);
        let mut retries = Retries::default();
        let clock = SystemClock::new();
        loop {
            let started_ms = clock.monotonic_ms();
            running.set(1.0);
            let Err(error) = task.map_err(CycleError::from).and_then(&run) else { return running.set(0.0) };
            running.set(0.0);
            if let CycleError::Log(LogError::Fenced) = error {
                tracing::error!(task = name, %error, "stopped for good");
                return;
            }
            let pause_ms = retries.pause_after(clock.monotonic_ms() - started_ms).as_millis() as u64;
            let error = error.told(input, "0");
            tracing::error!(
                task = name,
                error,
                again_in_ms = pause_ms,
                "stopped; it goes on from what it had committed"
            );
            if !wait_to_go_on(&control, &shutdown, pause_ms) {
                return;
            }
            task = again();
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(CliError::not_available)
}

/// Waits so long, or until somebody says what is passed over. False: told to stop.
fn wait_to_go_on(control: &DirectoryView, shutdown: &Shutdown, pause_ms: u64) -> bool {
    let before = control.current();
    for _ in 0..pause_ms.div_ceil(CONTROL_REFRESH_MS) {
        if shutdown.wait_timeout(Duration::from_millis(pause_ms.min(CONTROL_REFRESH_MS))) {
            return false;
        }
        if control.current().skips_differ(&before) {
            break;
        }
    }
    true
}

fn metrics_gauge(name: &'static str) -> metrics::Gauge {
    metrics::gauge!("logystera_task_running", "task" => name)
}
