//! Progress on standard error: bars where somebody watches, plain lines where not.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

const TICK_MS: u64 = 120;

/// One stage of long work.
pub struct Bar {
    stage: String,
    bar: ProgressBar,
    started: Instant,
    watched: bool,
}

impl Bar {
    fn start(stage: &str, bar: ProgressBar, template: &str) -> Self {
        let watched = std::io::stderr().is_terminal();
        let bar = if watched { bar } else { ProgressBar::hidden() };
        // The templates below are constants; a bad one would only look different.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(TICK_MS));
        if !watched {
            eprintln!("{stage} ...");
        }
        Self { stage: stage.to_owned(), bar, started: Instant::now(), watched }
    }
    /// Work whose length nobody knows.
    pub fn spinner(stage: &str) -> Self {
        let template = "{spinner} {prefix:<12} {elapsed:>5} {msg}";
        Self::start(stage, ProgressBar::new_spinner(), template)
    }
    /// Work of `steps` steps.
    pub fn steps(stage: &str, steps: u64) -> Self {
        let template = "{spinner} {prefix:<12} {elapsed:>5} [{bar:30}] {pos}/{len} {msg}";
        Self::start(stage, ProgressBar::new(steps), template)
    }
    /// What is happening now.
    pub fn say(&self, what: &str) {
        if !self.watched && self.bar.message() != what {
            eprintln!("{}: {what}", self.stage);
        }
        self.bar.set_message(what.to_owned());
    }
    /// Another step is done.
    pub fn step(&self) {
        self.bar.inc(1);
    }
    /// Counts steps from tasks and threads elsewhere.
    pub fn counter(&self) -> impl Fn(u64) + Clone + Send + Sync + 'static {
        let bar = self.bar.clone();
        move |steps| bar.inc(steps)
    }
    /// The end, with a word about it.
    pub fn done(self, result: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.bar.finish_and_clear();
        eprintln!("{:<12} {seconds:>7.1} s  {result}", self.stage);
    }
}
