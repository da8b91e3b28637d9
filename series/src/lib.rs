//! Metrics: what signals of a type add up to, minute by minute, in site time. It is pure.
//!
//! `plan`: the metrics of a set made ready. `counts`: what one has counted in the open minute. `site_series`: those of a site,
//! and when a minute is closed. `parts`: the records of a closed one. What a metric is says `logystera-ruleset`; where a site
//! counts, the engine.

mod counts;
mod parts;
mod plan;
mod site_series;

pub use counts::{Counts, Stored};
pub use parts::Minute;
pub use plan::{Counted, MetricIndex, SeriesProgram};
pub use site_series::{MetricId, SiteSeries};
