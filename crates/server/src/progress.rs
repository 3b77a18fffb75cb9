//! How far a long command is, on standard error: a bar for who watches, a line now and then for a log.

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Between two lines where nobody watches.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How far something is.
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// Begins at no bytes; `what` is a verb in the past: "copied".
    pub fn bytes(what: &'static str, total: Option<u64>) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| bar(what, total));
        Progress { what, total, done: 0, bar, told: Instant::now() }
    }

    /// So much more is done.
    pub fn add(&mut self, more: u64) {
        self.done += more;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        } else if self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let of = self.total.map_or(String::new(), |total| format!(" of {}", HumanBytes(total)));
            eprintln!("{} {}{of}", self.what, HumanBytes(self.done));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            format!("{what} {{binary_bytes}} of {{binary_total_bytes}}, {{binary_bytes_per_sec}} {{wide_bar}} {{eta}}"),
        ),
        None => (ProgressBar::new_spinner(), format!("{{spinner}} {what} {{binary_bytes}}, {{elapsed}}")),
    };
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
