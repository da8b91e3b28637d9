//! A data folder. Its changes are made by the one process that has it: by `up` while it runs, which is asked through a
//! socket in the folder, else by the command itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use logystera_channels::email::server::MailConfig;
use logystera_control::deployment::Deployment;
use logystera_control::{Answer, ControlService, Parts, Request};
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::DirectoryWatch;
use logystera_infra::embedded::{Embedded, OpenError};
use logystera_infra::envelope::master_key;
use logystera_infra::files::host_name;
use logystera_infra::secrets::MasterKey;

use super::channels::AlerterChannels;
use super::deployment::{deployment_of, leave_the_file};
use super::rules::{as_published, rules_or_default};
use super::socket;
use crate::cli::{self, CliError};

/// What mail is sent with, once somebody asks.
pub type MailOf<'a> = dyn Fn() -> Result<Option<MailConfig>, CliError> + 'a;

/// How long a command waits for another one that has the folder.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has the change made by `up` if it runs on `dir`, else here. `create`: a folder that is not there is made.
pub fn ask_folder(dir: &Path, request: &Request, create: bool, mail: &MailOf<'_>) -> Result<Answer, CliError> {
    let clock = SystemClock::new();
    let give_up_at = clock.monotonic_ms() + PATIENCE.as_millis() as i64;
    loop {
        let opened = if create { Embedded::open(dir) } else { Embedded::open_existing(dir) };
        let in_use = match opened {
            Ok(embedded) => return act(dir, embedded, request.clone(), mail()?),
            Err(in_use @ OpenError::InUse { .. }) => in_use,
            Err(error @ OpenError::NoData { .. }) if request.can_create() => {
                return Err(CliError::wrong_use(format!("{error}, or this command with --create")));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(answer) = socket::call(dir, request)? {
            return answer;
        }
        // Another command has the folder for a moment, or `up` is starting.
        if clock.monotonic_ms() > give_up_at {
            return Err(in_use.into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Makes the change in this process.
fn act(dir: &Path, embedded: Embedded, request: Request, mail: Option<MailConfig>) -> Result<Answer, CliError> {
    let runtime = cli::runtime()?;
    let answer = runtime.block_on(async {
        let control = DirectoryWatch::load(embedded.log())?;
        let directory = control.view().current();
        let deployment = deployment_of(dir, &directory, None)?;
        let master = master_key(dir, &directory).map_err(CliError::not_available)?;
        let has_rules = deployment.rules.is_some();
        let channels = AlerterChannels::once_needed(&deployment, mail);
        let service = ControlService::of_folder(&embedded, control, parts(master, deployment, channels))?;
        if directory.deployment().is_none() {
            // No `up` of this version has run here yet: its first start replaces the default pack if it is told of
            // other rules.
            if has_rules {
                service.write_down().await?;
            } else {
                service.configure(&as_published(&rules_or_default(None)?), "site add").await?;
            }
            leave_the_file(dir);
        }
        service.execute(request).await.map_err(CliError::from)
    });
    embedded.close();
    answer
}

/// What a service needs besides the log: this machine's clock and name, and the alerter's channels.
pub fn parts(master: MasterKey, deployment: Deployment, channels: AlerterChannels) -> Parts {
    Parts { master, deployment, clock: Arc::new(SystemClock::new()), channels: Arc::new(channels), host: host_name() }
}
