//! The records of a closed minute.

use logystera_schemas::avro::{Datum, Writer};
use logystera_schemas::ids::{SiteId, TenantId};
use logystera_schemas::limits::POINTS_BYTES_MAX;
use logystera_schemas::series::{MINUTE_MS, MetricPoints, Points};
use logystera_schemas::time::SiteMs;

/// Whose minute it is.
#[derive(Clone, Copy, Debug)]
pub struct Minute<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The site.
    pub site: &'a SiteId,
    /// How often the site's time had started anew.
    pub resets: u64,
}

/// The records of a minute. None of no metrics, mostly one; series that are too many for one record go on in the next one.
pub(crate) fn write(of: &Minute<'_>, minute: i64, metrics: impl Iterator<Item = MetricPoints>) -> Vec<Points> {
    cut(of, minute, metrics, POINTS_BYTES_MAX)
}

fn cut(of: &Minute<'_>, minute: i64, metrics: impl Iterator<Item = MetricPoints>, bytes_max: usize) -> Vec<Points> {
    let mut parts: Vec<Vec<MetricPoints>> = Vec::new();
    let (mut bytes, mut measured) = (0, Writer::new());
    for mut metric in metrics {
        let series = std::mem::take(&mut metric.series);
        let mut is_first = true;
        for point in series {
            measured.truncate(0);
            point.write(&mut measured);
            if parts.is_empty() || bytes > 0 && bytes + measured.len() > bytes_max {
                parts.push(Vec::new());
                (bytes, is_first) = (0, true);
            }
            bytes += measured.len();
            if let Some(part) = parts.last_mut() {
                if std::mem::take(&mut is_first) {
                    part.push(metric.clone());
                }
                part.last_mut().into_iter().for_each(|metric| metric.series.push(point.clone()));
            }
        }
    }
    let count = parts.len() as u32;
    let part = |(part, metrics)| Points {
        tenant: of.tenant.clone(),
        site: of.site.clone(),
        encryption_key: None,
        minute: SiteMs(minute.saturating_mul(MINUTE_MS)),
        resets: of.resets,
        part,
        parts: count,
        metrics,
    };
    (1..).zip(parts).map(part).collect()
}

#[cfg(test)]
mod tests {
    use logystera_schemas::series::SeriesPoint;

    use super::*;

    fn metric(name: &str, series: usize) -> MetricPoints {
        let point =
            |n: usize| SeriesPoint { values: vec![format!("{n:03}")], count: 1, late: 0, sum: 0, buckets: Vec::new() };
        MetricPoints {
            name: name.to_owned(),
            revision: "r".to_owned(),
            labels: vec!["l".to_owned()],
            ends: Vec::new(),
            series: (0..series).map(point).collect(),
        }
    }

    #[test]
    fn series_go_on_in_the_next_record_and_none_is_lost() {
        let (tenant, site) = ("t".parse().unwrap(), "s".parse().unwrap());
        let of = Minute { tenant: &tenant, site: &site, resets: 3 };
        // A series takes nine bytes: its value four and three around it, its numbers the rest.
        for (metrics, bytes_max, expected) in [
            (vec![], 100, vec![]),
            (vec![metric("a", 2), metric("b", 1)], 100, vec![vec![("a", 2), ("b", 1)]]),
            (vec![metric("a", 5)], 20, vec![vec![("a", 2)], vec![("a", 2)], vec![("a", 1)]]),
            (vec![metric("a", 1), metric("b", 2)], 20, vec![vec![("a", 1), ("b", 1)], vec![("b", 1)]]),
            (vec![metric("a", 2)], 1, vec![vec![("a", 1)], vec![("a", 1)]]),
        ] {
            let all: Vec<_> = metrics.iter().flat_map(|m| m.series.iter().map(|s| s.values.clone())).collect();
            let parts = cut(&of, 2, metrics.into_iter(), bytes_max);
            let seen: Vec<Vec<(&str, usize)>> = parts
                .iter()
                .map(|part| part.metrics.iter().map(|m| (m.name.as_str(), m.series.len())).collect())
                .collect();
            assert_eq!(seen, expected);
            let numbers: Vec<_> = parts.iter().map(|p| (p.part, p.parts, p.minute, p.resets)).collect();
            let wanted: Vec<_> = (1..).take(parts.len()).map(|n| (n, parts.len() as u32, SiteMs(120_000), 3)).collect();
            assert_eq!(numbers, wanted);
            let kept: Vec<_> =
                parts.iter().flat_map(|p| &p.metrics).flat_map(|m| &m.series).map(|s| s.values.clone()).collect();
            assert_eq!(kept, all);
        }
    }
}
