//! The live view of a terminal: a line per running step with a timer, its
//! transfers and the last lines of its output below; finished steps stay
//! above, one line each.
//!
//! A thread redraws ten times a second. Steps that end sooner are never drawn
//! as running, so a build of many short steps is not slowed by its display.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use console::{Term, measure_text_width, strip_ansi_codes, style, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rbc_ir::NodeId;
use rbc_vm::event::{Event, Observer, Stream};

use super::Display;
use super::format::{seconds, short_digest, transfer};
use super::lines::Lines;

const TICK: Duration = Duration::from_millis(100);
/// Output lines shown below a running step.
const TAIL: usize = 5;
/// Steps shown at the same time; more would push the timers off the screen.
const SHOWN: usize = 8;

/// The live view.
pub(crate) struct Live {
    shared: Arc<Shared>,
    ticker: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    view: MultiProgress,
    closed: AtomicBool,
    begun: Instant,
}

struct State {
    names: Vec<String>,
    running: BTreeMap<NodeId, Running>,
    exports: BTreeMap<String, Instant>,
    footer: Option<ProgressBar>,
    finished: usize,
    cached: usize,
}

struct Running {
    started: Instant,
    stdout: Lines,
    stderr: Lines,
    tail: VecDeque<String>,
    transfers: BTreeMap<String, (u64, Option<u64>)>,
}

impl Live {
    /// Starts the view of steps with these names.
    pub(crate) fn start(names: Vec<String>) -> Self {
        let state =
            State { names, running: BTreeMap::new(), exports: BTreeMap::new(), footer: None, finished: 0, cached: 0 };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            view: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            closed: AtomicBool::new(false),
            begun: Instant::now(),
        });
        let of_ticker = Arc::clone(&shared);
        let ticker = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
            while !of_ticker.closed.load(Ordering::SeqCst) {
                std::thread::park_timeout(TICK);
                of_ticker.draw();
            }
        });
        // Without the thread the view lacks its timers, no more.
        Self { shared, ticker: Mutex::new(ticker.ok()) }
    }
}

impl Display for Live {
    fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        let ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticker) = ticker {
            ticker.thread().unpark();
            let _ = ticker.join();
        }
        if let Some(footer) = self.shared.lock().footer.take() {
            footer.finish_and_clear();
        }
        let _ = self.shared.view.clear();
    }
}

impl Observer for Live {
    fn event(&self, event: Event) {
        let lines = self.shared.lock().take(event);
        for line in lines {
            let _ = self.shared.view.println(fit(&line));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Redraws what is running.
    fn draw(&self) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        let mut state = self.lock();
        let text = state.picture(self.begun.elapsed());
        match (&state.footer, text) {
            (Some(bar), Some(text)) => bar.set_message(text),
            (None, Some(text)) => {
                let bar = self.view.add(ProgressBar::new_spinner());
                if let Ok(plain) = ProgressStyle::with_template("{msg}") {
                    bar.set_style(plain);
                }
                bar.set_message(text);
                bar.tick();
                state.footer = Some(bar);
            }
            (_, None) => {
                if let Some(bar) = state.footer.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

impl State {
    /// Takes an event in; returns lines that stay.
    fn take(&mut self, event: Event) -> Vec<String> {
        match event {
            Event::Started { node } => {
                self.running.insert(node, Running::new());
                Vec::new()
            }
            Event::Cached { node } => {
                self.cached += 1;
                vec![format!("{} {}", style("cached").cyan().for_stderr(), self.name(node))]
            }
            Event::Output { node, stream, data } => {
                let step = self.running.entry(node).or_insert_with(Running::new);
                let lines = match stream {
                    Stream::Stdout => step.stdout.push(&data),
                    Stream::Stderr => step.stderr.push(&data),
                };
                step.note(lines);
                Vec::new()
            }
            Event::Transfer { node, what, done, total } => {
                let step = self.running.entry(node).or_insert_with(Running::new);
                if total == Some(done) {
                    step.transfers.remove(&what);
                } else {
                    step.transfers.insert(what, (done, total));
                }
                Vec::new()
            }
            Event::Finished { node, took } => {
                self.running.remove(&node);
                self.finished += 1;
                vec![self.ended(&style("  done").green().for_stderr(), node, took)]
            }
            Event::Failed { node, took } => {
                self.running.remove(&node);
                vec![self.ended(&style("failed").red().bold().for_stderr(), node, took)]
            }
            Event::Warning { message, .. } => {
                vec![format!("{} {message}", style("warning:").yellow().bold().for_stderr())]
            }
            Event::Export { what, took: None } => {
                self.exports.insert(what, Instant::now());
                Vec::new()
            }
            Event::Export { what, took: Some(took) } => {
                self.exports.remove(&what);
                let time = style(seconds(took)).dim().for_stderr();
                vec![format!("{} {what} {time}", style("  done").green().for_stderr())]
            }
        }
    }

    fn name(&self, node: NodeId) -> &str {
        self.names.get(node).and_then(|n| n.lines().next()).unwrap_or_default()
    }

    fn ended(&self, how: &console::StyledObject<&str>, node: NodeId, took: Duration) -> String {
        format!("{how} {} {}", self.name(node), style(seconds(took)).dim().for_stderr())
    }

    /// The moving part of the view; nothing while nothing runs.
    fn picture(&self, elapsed: Duration) -> Option<String> {
        if self.running.is_empty() && self.exports.is_empty() {
            return None;
        }
        let mut lines = Vec::new();
        for (&node, step) in self.running.iter().take(SHOWN) {
            lines.push(with_timer(&format!("     › {}", self.name(node)), step.started.elapsed()));
            for (what, &(done, total)) in &step.transfers {
                lines.push(faint(&format!("         {} {}", short_digest(what), transfer(done, total))));
            }
            lines.extend(step.tail.iter().map(|line| faint(&format!("         {line}"))));
        }
        if self.running.len() > SHOWN {
            lines.push(faint(&format!("         and {} more", self.running.len() - SHOWN)));
        }
        for (what, since) in &self.exports {
            lines.push(with_timer(&format!("     › {what}"), since.elapsed()));
        }
        let counts = format!("{} done, {} cached", self.finished, self.cached);
        lines.push(fit(&format!("{} {} · {counts}", style("building").bold().for_stderr(), seconds(elapsed))));
        Some(lines.join("\n"))
    }
}

impl Running {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            stdout: Lines::default(),
            stderr: Lines::default(),
            tail: VecDeque::new(),
            transfers: BTreeMap::new(),
        }
    }

    fn note(&mut self, lines: Vec<String>) {
        for line in lines {
            // A step's own cursor movements would tear the view.
            let line: String = strip_ansi_codes(&line).chars().filter(|c| !c.is_control() || *c == '\t').collect();
            if line.trim().is_empty() {
                continue;
            }
            if self.tail.len() == TAIL {
                self.tail.pop_front();
            }
            self.tail.push_back(line.replace('\t', "    "));
        }
    }
}

fn width() -> usize {
    usize::from(Term::stderr().size_checked().map_or(80, |(_, columns)| columns)).max(20)
}

fn fit(line: &str) -> String {
    truncate_str(line, width(), "…").into_owned()
}

fn faint(line: &str) -> String {
    style(fit(line)).dim().for_stderr().to_string()
}

/// A line with a timer at its right end.
fn with_timer(line: &str, elapsed: Duration) -> String {
    let timer = seconds(elapsed);
    let room = width().saturating_sub(timer.len() + 2);
    let line = truncate_str(line, room, "…");
    let gap = room.saturating_sub(measure_text_width(&line)) + 1;
    format!("{line}{}{timer}", " ".repeat(gap))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            names: vec!["[a 1/2] FROM base".into(), "[a 2/2] RUN make".into()],
            running: BTreeMap::new(),
            exports: BTreeMap::new(),
            footer: None,
            finished: 0,
            cached: 0,
        }
    }

    #[test]
    fn finished_steps_stay_running_ones_move() {
        let mut state = state();
        assert_eq!(state.picture(Duration::ZERO), None);
        let stays = state.take(Event::Cached { node: 0 });
        assert_eq!(strip_ansi_codes(&stays.join("\n")), "cached [a 1/2] FROM base");
        assert!(state.take(Event::Started { node: 1 }).is_empty());
        let picture = state.picture(Duration::from_secs(3)).unwrap();
        let picture = strip_ansi_codes(&picture).into_owned();
        assert!(picture.contains("› [a 2/2] RUN make"), "{picture}");
        assert!(picture.ends_with("building 3.0s · 0 done, 1 cached"), "{picture}");
        let stays = state.take(Event::Finished { node: 1, took: Duration::from_secs(1) });
        assert_eq!(strip_ansi_codes(&stays.join("\n")), "  done [a 2/2] RUN make 1.0s");
        assert_eq!(state.picture(Duration::ZERO), None);
    }

    #[test]
    fn the_tail_of_the_output_is_clean_and_short() {
        let mut state = state();
        state.take(Event::Started { node: 1 });
        for i in 0..20 {
            let data = format!("\x1b[2J\x1b[31mline {i}\x1b[0m\x07\n").into_bytes();
            state.take(Event::Output { node: 1, stream: Stream::Stdout, data });
        }
        let picture = state.picture(Duration::ZERO).unwrap();
        let picture = strip_ansi_codes(&picture).into_owned();
        assert!(
            !picture.contains("line 14") && picture.contains("line 15") && picture.contains("line 19"),
            "{picture}"
        );
        assert!(!picture.contains('\x07') && !picture.contains("\x1b[2J"));
    }
}
