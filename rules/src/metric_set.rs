//! The metrics of a set of rule files: what concerns them together.

use std::collections::BTreeMap;

use logystera_processor::core::{Metric, StateLimits};
use logystera_schemas::limits::{METRICS_MAX, SITE_SERIES_MAX, SITE_STATE_BYTES_ALLOWED_MIN};

use crate::canonical::Json;
use crate::code::Code;
use crate::metric::{self, DefinedMetric};
use crate::read;
use crate::report::Report;
use crate::yaml::Node;

/// The metrics so far, each with the number of its file.
#[derive(Default)]
pub(crate) struct Metrics(Vec<(usize, DefinedMetric)>);

impl Metrics {
    /// Reads those of a file.
    pub(crate) fn read(&mut self, file: usize, node: &Node, report: &mut Report<'_>) {
        let Some(items) = read::list(node, "`metrics`", METRICS_MAX, report) else { return };
        self.0.extend(items.iter().filter_map(|item| Some((file, metric::read(item, report)?))));
        if self.0.len() > METRICS_MAX {
            report.error(Code::SetTooBig, node.place, format!("the set has more than {METRICS_MAX} metrics"));
            self.0.truncate(METRICS_MAX);
        }
    }

    /// Checks names and bounds; gives the bytes of all of them at worst.
    pub(crate) fn check(&self, files: &[String], limits: &StateLimits, reports: &mut [Report<'_>]) -> usize {
        let (mut names, mut series, mut bytes) = (BTreeMap::new(), Vec::new(), 0_usize);
        let (mut are_too_many, mut are_too_costly) = (false, false);
        for (file, DefinedMetric { metric, place, .. }) in &self.0 {
            let report = &mut reports[*file];
            let here = format!("{}:{}:{}", files[*file], place.line, place.column);
            if let Some(first) = names.insert(&metric.name, here) {
                let error = report.error(Code::SameName, *place, format!("two metrics are called `{}`", metric.name));
                error.label(format!("the first is at {first}")).help("give one of them another name");
            }
            series.push(metric.series_max());
            let all: usize = series.iter().sum();
            if all > SITE_SERIES_MAX && !std::mem::replace(&mut are_too_many, true) {
                let terms: Vec<String> = series.iter().map(ToString::to_string).collect();
                let problem = format!(
                    "with `{}` the metrics can have {} = {all} series; a site has at most {SITE_SERIES_MAX}",
                    metric.name,
                    terms.join(" + ")
                );
                report.error(Code::TooManySeries, *place, problem).help("declare fewer values, or take a metric out");
            }
            bytes = bytes.saturating_add(metric.bytes_max());
            let left = limits.site_bytes.saturating_sub(bytes);
            if left < SITE_STATE_BYTES_ALLOWED_MIN && !are_too_many && !std::mem::replace(&mut are_too_costly, true) {
                let problem = format!(
                    "with `{}` the metrics can take {bytes} bytes; of `site_bytes: {}` that leaves rules less than {SITE_STATE_BYTES_ALLOWED_MIN}",
                    metric.name, limits.site_bytes
                );
                let help = format!("at least `site_bytes: {}`, or fewer series", bytes + SITE_STATE_BYTES_ALLOWED_MIN);
                report.error(Code::TooCostly, *place, problem).help(help);
            }
        }
        bytes
    }

    /// The metrics in the order of their names, and their canonical forms.
    pub(crate) fn finish(self) -> (Vec<Metric>, Vec<Json>) {
        let mut metrics: Vec<DefinedMetric> = self.0.into_iter().map(|(_, defined)| defined).collect();
        metrics.sort_by(|a, b| a.metric.name.cmp(&b.metric.name));
        metrics.into_iter().map(|defined| (defined.metric, defined.json)).unzip()
    }
}
