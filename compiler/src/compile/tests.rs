//! Tests of what is computed again.

use std::sync::{Arc, Mutex};

use rbc_ir::{Digest, ImageDocument, Platform};

use super::*;
use crate::inputs::{ImageMeta, InputError};

struct Empty;

impl Inputs for Empty {
    fn image(&self, reference: &str, platform: &Platform) -> Result<ImageMeta, InputError> {
        Ok(ImageMeta {
            reference: reference.to_owned(),
            pin: Digest::of(b"x"),
            platform: platform.clone(),
            document: ImageDocument::default(),
        })
    }

    fn layout_image(&self, layout: &str, _: &str, platform: &Platform) -> Result<ImageMeta, InputError> {
        self.image(layout, platform)
    }

    fn read_context_file(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, InputError> {
        Ok(None)
    }
}

/// A session, and the names of the queries that ran since the last look.
fn observed(source: &str) -> (Session, impl Fn() -> Vec<String>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&log);
    let observer: Observer = Box::new(move |query| {
        let name = query.split('(').next().unwrap_or_default().to_owned();
        sink.lock().unwrap().push(name);
    });
    let session = Session::with_observer(BuildOptions::new("Dockerfile", "."), source, Some(observer));
    let take = move || {
        let mut names = std::mem::take(&mut *log.lock().unwrap());
        names.dedup();
        names
    };
    (session, take)
}

#[test]
fn a_comment_costs_a_parse_only() {
    let (mut session, ran) = observed("FROM alpine\nRUN make\n");
    let before = session.compile(&Empty).plan.unwrap();
    assert!(ran().contains(&"lowered".to_owned()));

    session.set_text("# new\nFROM alpine\n\n\nRUN make\n");
    let after = session.compile(&Empty).plan.unwrap();
    assert_eq!(ran(), ["parsed", "parts", "program", "spans", "plan"]);
    // Nothing but places has changed.
    assert_eq!(after.nodes, before.nodes);
    assert_eq!(before.origins[0].start, (1, 1));
    assert_eq!(after.origins[0].start, (2, 1));
    assert_eq!(after.origins[1].start, (5, 1));

    session.set_text("# new\nFROM alpine\nRUN make install\n");
    assert_ne!(session.compile(&Empty).plan.unwrap().nodes, before.nodes);
    assert!(ran().contains(&"lowered".to_owned()));
}

#[test]
fn problems_move_with_the_text() {
    let (mut session, ran) = observed("FROM scratch\nEXPOSE no\n");
    let place = |c: &Compiled| c.diagnostics[0].primary.as_ref().unwrap().span.start;
    assert_eq!(place(&session.compile(&Empty)), 20);
    ran();
    session.set_text("# x\nFROM scratch\nEXPOSE no\n");
    assert_eq!(place(&session.compile(&Empty)), 24);
    assert!(!ran().contains(&"lowered".to_owned()));
}

#[test]
fn nobody_is_asked_in_vain() {
    struct Never;
    impl Inputs for Never {
        fn image(&self, _: &str, _: &Platform) -> Result<ImageMeta, InputError> {
            panic!("asked for an image");
        }
        fn layout_image(&self, _: &str, _: &str, _: &Platform) -> Result<ImageMeta, InputError> {
            panic!("asked for a layout");
        }
        fn read_context_file(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, InputError> {
            panic!("asked for a file");
        }
    }
    for source in [
        "FROM alpine\nCOPPY a b\n",
        "FROM alpine\nCOPY --form=x a b\n",
        "FROM alpine AS 1\n",
        "FROM alpine AS a\nCOPY --from=b / /\nFROM alpine AS b\nFROM a\n",
        "FROM alpine\nRUN --mount=type=cahce,target=/c x\n",
    ] {
        let compiled = compile(&BuildOptions::new("Dockerfile", "."), source, &Never);
        assert!(compiled.plan.is_none() && !compiled.diagnostics.is_empty(), "{source}");
    }
}

#[test]
fn a_change_of_options_needs_no_parse() {
    let (mut session, ran) = observed("FROM scratch AS a\nFROM scratch\nLABEL x=1\n");
    session.compile(&Empty);
    ran();
    let mut options = BuildOptions::new("Dockerfile", ".");
    options.target = Some("a".to_owned());
    session.set_options(options);
    let plan = session.compile(&Empty).plan.unwrap();
    assert!(plan.targets[0].instances[0].config.labels.is_empty());
    assert_eq!(ran(), ["outlines", "lowered", "plan"]);
}
