//! Deliveries: what a channel is to be told once more.

use logystera_infra::log::Log;
use logystera_infra::secrets::random_bytes;
use logystera_schemas::avro::Blob;
use logystera_schemas::delivery::Resend;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::ResendId;
use logystera_schemas::limits::RESEND_BY_CHARS_MAX;
use logystera_schemas::schema;
use logystera_schemas::time::WallMs;

use crate::channels::{for_planner, known_channel};
use crate::context::Context;
use crate::error::ControlError;
use crate::rules::by;

impl<L: Log> Context<L> {
    /// Asks the planner that a channel gets a detection again; gives what names that. `detection` is the record as it
    /// stands in topic `detections`.
    pub(crate) async fn resend(&self, channel: &str, detection: &Blob) -> Result<ResendId, ControlError> {
        let directory = self.writer.directory()?;
        let channel = known_channel(&directory, channel)?;
        let detection: Detection = schema::decode(&detection.0)
            .map_err(|e| ControlError::invalid(format!("the detection cannot be read: {e}")))?;
        if detection.tenant != channel.tenant {
            return Err(ControlError::invalid(format!(
                "the channel {} is of tenant {}, and the alert of tenant {}: a channel is told of its own tenant only",
                channel.channel, channel.tenant, detection.tenant
            )));
        }
        let record = Resend {
            tenant: channel.tenant.clone(),
            resend: ResendId(random_bytes()),
            channel: channel.channel.clone(),
            by: by("delivery resend", &self.host).chars().take(RESEND_BY_CHARS_MAX).collect(),
            at: WallMs(self.clock.wall_ms()),
            detection,
        };
        let asked = record.resend;
        self.writer.log.append(vec![for_planner(&channel.tenant, &record, &self.writer.log)]).await?;
        Ok(asked)
    }
}
