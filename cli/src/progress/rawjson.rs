//! One JSON object per event and line, for programs.
//!
//! ```text
//! {"at":0.001,"event":"started","node":3,"digest":"rbc1:…","name":"[builder 2/3] RUN make"}
//! {"at":0.120,"event":"output","node":3,"stream":"stdout","text":"compiling\n"}
//! {"at":0.310,"event":"finished","node":3,"took":0.309}
//! ```
//!
//! `at` and `took` are seconds; `node` is the id in the plan. Bytes of an
//! output that are not UTF-8 become U+FFFD.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rbc_ir::{NodeId, Plan};
use rbc_vm::event::{Event, Observer, Stream};
use serde_json::{Value, json};

use super::Display;

/// Writes events as JSON.
pub(crate) struct RawJson {
    nodes: Vec<(String, String)>,
    start: Instant,
    out: Mutex<Box<dyn Write + Send>>,
}

impl RawJson {
    /// Creates a log of a plan's nodes.
    pub(crate) fn new(plan: &Plan, out: Box<dyn Write + Send>) -> Self {
        let nodes = plan.nodes.iter().map(|n| (n.digest.to_string(), n.name.clone())).collect();
        Self { nodes, start: Instant::now(), out: Mutex::new(out) }
    }

    fn named(&self, event: &str, node: NodeId) -> Value {
        let (digest, name) = self.nodes.get(node).cloned().unwrap_or_default();
        json!({ "event": event, "node": node, "digest": digest, "name": name })
    }

    fn object(&self, event: Event) -> Value {
        match event {
            Event::Started { node } => self.named("started", node),
            Event::Cached { node } => self.named("cached", node),
            Event::Output { node, stream, data } => {
                let stream = match stream {
                    Stream::Stdout => "stdout",
                    Stream::Stderr => "stderr",
                };
                json!({ "event": "output", "node": node, "stream": stream, "text": String::from_utf8_lossy(&data) })
            }
            Event::Transfer { node, what, done, total } => {
                json!({ "event": "transfer", "node": node, "what": what, "done": done, "total": total })
            }
            Event::Finished { node, took } => json!({ "event": "finished", "node": node, "took": millis(took) }),
            Event::Failed { node, took } => json!({ "event": "failed", "node": node, "took": millis(took) }),
            Event::Warning { node, message } => json!({ "event": "warning", "node": node, "message": message }),
            Event::Export { what, took } => json!({ "event": "export", "what": what, "took": took.map(millis) }),
        }
    }
}

/// Seconds with three decimals.
fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Display for RawJson {}

impl Observer for RawJson {
    fn event(&self, event: Event) {
        let mut object = self.object(event);
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if let Value::Object(fields) = &mut object {
            fields.insert("at".to_owned(), json!(millis(self.start.elapsed())));
        }
        let _ = writeln!(out, "{object}");
    }
}
