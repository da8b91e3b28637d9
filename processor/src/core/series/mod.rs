//! Metrics: what signals of a type add up to, minute by minute, in site time.
//!
//! `definition`: a checked metric. `plan`: the metrics of a set made ready. `counts`: what one has counted in the open minute.
//! `site_series`: those of a site, and when a minute is closed. `parts`: the records of a closed one. `measure`, beside this
//! folder, is where a site counts.

pub(crate) mod counts;
pub(crate) mod definition;
pub(crate) mod parts;
pub(crate) mod plan;
pub(crate) mod site_series;
