//! A running installation, for those who use it from inside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use logystera_channels::kinds::Kinds;
use logystera_control::ControlService;
use logystera_control::deployment::Deployment;
use logystera_infra::directory::DirectoryView;
use logystera_infra::embedded::EmbeddedLog;
use logystera_infra::pace::TimeWanted;
use logystera_infra::secrets::MasterKey;
use logystera_infra::shutdown::Shutdown;
use logystera_ingest::core::quota::Quota;

/// What a running installation is made of, for those who use it from inside.
#[derive(Clone)]
pub(crate) struct Running {
    /// The folder.
    pub(crate) data: PathBuf,
    /// The log.
    pub(crate) log: EmbeddedLog,
    /// What is configured.
    pub(crate) directory: DirectoryView,
    /// Its deployment.
    pub(crate) deployment: Deployment,
    /// Opens its secrets.
    pub(crate) master: MasterKey,
    /// Speaks to the channels.
    pub(crate) kinds: Kinds,
    /// Makes changes of sites and channels.
    pub(crate) service: Arc<ControlService<EmbeddedLog>>,
    /// Where senders connect.
    pub(crate) listen: SocketAddr,
    /// Where operators connect.
    pub(crate) admin_listen: SocketAddr,
    /// What each site may send.
    pub(crate) quota: Quota,
    /// Whether the alerter waits for time: else ticks are seldom while nobody sends, and so are commits of them.
    pub(crate) time_wanted: TimeWanted,
    /// When to stop.
    pub(crate) shutdown: Shutdown,
}
