//! The plain log, in the style of BuildKit's:
//!
//! ```text
//! #4 [builder 2/3] RUN go build -o myapp .
//! #4 0.312 a line of output
//! #4 DONE 1.2s
//!
//! #5 [stage-1 2/3] WORKDIR /app
//! #5 CACHED
//! ```
//!
//! Steps are numbered as they appear. When lines of two steps alternate, the
//! step's name is said again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rbc_ir::NodeId;
use rbc_vm::event::{Event, Observer, Stream};

use super::Display;
use super::format::{seconds, short_digest, transfer};
use super::lines::Lines;

/// A transfer says how far it is this often.
const TRANSFER_PERIOD: Duration = Duration::from_secs(1);

/// Writes the plain log.
pub(crate) struct Plain {
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    names: Vec<String>,
    steps: HashMap<NodeId, Step>,
    exports: HashMap<String, usize>,
    /// Numbers given so far.
    last_number: usize,
    /// The number whose lines were written last.
    shown: Option<usize>,
}

struct Step {
    number: usize,
    started: Instant,
    stdout: Lines,
    stderr: Lines,
    transfers: HashMap<String, Instant>,
}

impl Plain {
    /// Creates a log of the steps with these names.
    pub(crate) fn new(names: Vec<String>, out: Box<dyn Write + Send>) -> Self {
        let state = State { out, names, steps: HashMap::new(), exports: HashMap::new(), last_number: 0, shown: None };
        Self { state: Mutex::new(state) }
    }
}

impl Display for Plain {}

impl Observer for Plain {
    fn event(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let text = state.render(event);
        // Nowhere to complain if standard error is gone.
        let _ = state.out.write_all(text.as_bytes());
    }
}

impl State {
    fn render(&mut self, event: Event) -> String {
        let mut text = String::new();
        match event {
            Event::Started { node } => {
                self.open(&mut text, node);
            }
            Event::Cached { node } => self.close(&mut text, node, "CACHED"),
            Event::Output { node, stream, data } => {
                self.open(&mut text, node);
                let Some(step) = self.steps.get_mut(&node) else { return text };
                let at = step.started.elapsed();
                let lines = match stream {
                    Stream::Stdout => step.stdout.push(&data),
                    Stream::Stderr => step.stderr.push(&data),
                };
                for line in lines {
                    put_line(&mut text, step.number, at, &line);
                }
            }
            Event::Transfer { node, what, done, total } => {
                let ended = total == Some(done);
                self.open(&mut text, node);
                let Some(step) = self.steps.get_mut(&node) else { return text };
                let due = step.transfers.get(&what).is_none_or(|last| last.elapsed() >= TRANSFER_PERIOD);
                if due || ended {
                    put(&mut text, step.number, &format!("{} {}", short_digest(&what), transfer(done, total)));
                    step.transfers.insert(what, Instant::now());
                }
            }
            Event::Finished { node, took } => self.close(&mut text, node, &format!("DONE {}", seconds(took))),
            Event::Failed { node, took } => self.close(&mut text, node, &format!("FAILED {}", seconds(took))),
            Event::Warning { node, message } => {
                match node.and_then(|n| self.steps.get(&n)).map(|s| s.number) {
                    Some(number) => put(&mut text, number, &format!("WARNING: {message}")),
                    None => {
                        let _ = writeln!(text, "warning: {message}");
                    }
                };
            }
            Event::Export { what, took: None } => {
                let number = self.number();
                self.switch(&mut text, number, &what);
                self.exports.insert(what, number);
            }
            Event::Export { what, took: Some(took) } => {
                let number = match self.exports.remove(&what) {
                    Some(number) => number,
                    None => self.number(),
                };
                self.switch(&mut text, number, &what);
                put(&mut text, number, &format!("DONE {}", seconds(took)));
                self.shown = None;
            }
        }
        text
    }

    fn number(&mut self) -> usize {
        self.last_number += 1;
        self.last_number
    }

    /// Makes a step the one that lines belong to.
    fn open(&mut self, text: &mut String, node: NodeId) {
        let number = match self.steps.get(&node) {
            Some(step) => step.number,
            None => {
                let number = self.number();
                self.steps.insert(node, Step::new(number));
                number
            }
        };
        let name = self.names.get(node).cloned().unwrap_or_default();
        self.switch(text, number, &name);
    }

    fn switch(&mut self, text: &mut String, number: usize, name: &str) {
        if self.shown == Some(number) {
            return;
        }
        if self.last_number > 1 || self.shown.is_some() {
            text.push('\n');
        }
        put(text, number, name);
        self.shown = Some(number);
    }

    fn close(&mut self, text: &mut String, node: NodeId, how: &str) {
        self.open(text, node);
        let Some(step) = self.steps.get_mut(&node) else { return };
        let at = step.started.elapsed();
        for line in [step.stdout.finish(), step.stderr.finish()].into_iter().flatten() {
            put_line(text, step.number, at, &line);
        }
        put(text, step.number, how);
        self.shown = None;
    }
}

impl Step {
    fn new(number: usize) -> Self {
        Self {
            number,
            started: Instant::now(),
            stdout: Lines::default(),
            stderr: Lines::default(),
            transfers: HashMap::new(),
        }
    }
}

fn put(text: &mut String, number: usize, what: &str) {
    // Names of heredocs span lines; the log shows the first.
    let what = what.lines().next().unwrap_or_default();
    let _ = writeln!(text, "#{number} {what}");
}

fn put_line(text: &mut String, number: usize, at: Duration, line: &str) {
    let _ = writeln!(text, "#{number} {:.3} {line}", at.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(data);
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(events: impl IntoIterator<Item = Event>) -> String {
        let sink = Sink::default();
        let names = ["[a 1/2] FROM base", "[a 2/2] RUN make", "[b 1/1] RUN <<EOT\necho\nEOT"].map(str::to_owned);
        let plain = Plain::new(names.to_vec(), Box::new(sink.clone()));
        for event in events {
            plain.event(event);
        }
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        // Times of output lines depend on the machine.
        let steady = |line: &str| match line.split_once(' ') {
            Some((number, rest)) => match rest.split_once(' ') {
                Some((time, rest)) if time.parse::<f64>().is_ok() => format!("{number} T {rest}"),
                _ => line.to_owned(),
            },
            None => line.to_owned(),
        };
        text.lines().map(steady).collect::<Vec<_>>().join("\n")
    }

    fn output(node: NodeId, data: &str) -> Event {
        Event::Output { node, stream: Stream::Stdout, data: data.as_bytes().to_vec() }
    }

    #[test]
    fn a_step_is_shown_from_start_to_end() {
        let took = Duration::from_millis(1240);
        insta::assert_snapshot!(log([
            Event::Cached { node: 0 },
            Event::Started { node: 1 },
            output(1, "compiling\nlin"),
            output(1, "king\nno newline"),
            Event::Finished { node: 1, took },
            Event::Export { what: "writing image.tar".into(), took: None },
            Event::Export { what: "writing image.tar".into(), took: Some(took) },
        ]), @r"
        #1 [a 1/2] FROM base
        #1 CACHED

        #2 [a 2/2] RUN make
        #2 T compiling
        #2 T linking
        #2 T no newline
        #2 DONE 1.2s

        #3 writing image.tar
        #3 DONE 1.2s
        ");
    }

    #[test]
    fn steps_that_alternate_say_their_names_again() {
        insta::assert_snapshot!(log([
            Event::Started { node: 1 },
            Event::Started { node: 2 },
            output(1, "one\n"),
            output(2, "two\n"),
            Event::Warning { node: Some(2), message: "careful".into() },
            Event::Failed { node: 2, took: Duration::ZERO },
        ]), @r"
        #1 [a 2/2] RUN make

        #2 [b 1/1] RUN <<EOT

        #1 [a 2/2] RUN make
        #1 T one

        #2 [b 1/1] RUN <<EOT
        #2 T two
        #2 WARNING: careful
        #2 FAILED 0.0s
        ");
    }

    #[test]
    fn transfers_are_shown_at_their_beginning_and_end() {
        let what = format!("sha256:{}", "12".repeat(32));
        let at = |done| Event::Transfer { node: 0, what: what.clone(), done, total: Some(3_000_000) };
        insta::assert_snapshot!(log([Event::Started { node: 0 }, at(0), at(10), at(20), at(3_000_000)]), @r"
        #1 [a 1/2] FROM base
        #1 sha256:121212121212 0 B / 3.0 MB
        #1 sha256:121212121212 3.0 MB / 3.0 MB
        ");
    }
}
