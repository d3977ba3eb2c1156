//! Counts requests and their time for `/metrics`, in the Prometheus text format.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Upper bounds of the histogram's buckets, in seconds.
const BOUNDS_S: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[derive(Default)]
struct Route {
    by_status: BTreeMap<u16, u64>,
    buckets: [u64; BOUNDS_S.len()],
    count: u64,
    sum_s: f64,
}

/// The counters of one process.
#[derive(Default)]
pub(crate) struct Metrics {
    routes: Mutex<BTreeMap<String, Route>>,
}

impl Metrics {
    /// Counts an answered request; `route` is the pattern, never the address with its ids.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("method=\"{method}\",route=\"{route}\"");
        let entry = routes.entry(key).or_default();
        *entry.by_status.entry(status).or_default() += 1;
        let seconds = took.as_secs_f64();
        entry.count += 1;
        entry.sum_s += seconds;
        for (bound, bucket) in BOUNDS_S.iter().zip(&mut entry.buckets) {
            if seconds <= *bound {
                *bucket += 1;
            }
        }
    }

    /// The text of `/metrics`, followed by the given gauges (name, help, value).
    pub(crate) fn render(&self, gauges: &[(&str, &str, f64)]) -> String {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        let _ = writeln!(out, "# HELP bonafide_http_requests_total Answered requests.");
        let _ = writeln!(out, "# TYPE bonafide_http_requests_total counter");
        for (key, route) in routes.iter() {
            for (status, count) in &route.by_status {
                let _ = writeln!(out, "bonafide_http_requests_total{{{key},status=\"{status}\"}} {count}");
            }
        }
        let _ = writeln!(
            out,
            "# HELP bonafide_http_request_seconds Time from the last byte of the head to the answer."
        );
        let _ = writeln!(out, "# TYPE bonafide_http_request_seconds histogram");
        for (key, route) in routes.iter() {
            for (bound, count) in BOUNDS_S.iter().zip(&route.buckets) {
                let _ = writeln!(out, "bonafide_http_request_seconds_bucket{{{key},le=\"{bound}\"}} {count}");
            }
            let _ =
                writeln!(out, "bonafide_http_request_seconds_bucket{{{key},le=\"+Inf\"}} {}", route.count);
            let _ = writeln!(out, "bonafide_http_request_seconds_sum{{{key}}} {}", route.sum_s);
            let _ = writeln!(out, "bonafide_http_request_seconds_count{{{key}}} {}", route.count);
        }
        for (name, help, value) in gauges {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        }
        out
    }
}
