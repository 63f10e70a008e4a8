//! From results to image descriptions: whose time a history entry gets.

use rbc_ir::{ImageDocument, Target};

use super::walk::Results;
use super::{Build, BuildError, BuildErrorKind, Built, BuiltInstance, at};

/// Describes the images of a target. Times are those at which results were
/// made first, so that an unchanged rebuild yields the same image.
pub(super) fn describe(build: &Build<'_>, target: &Target, results: &Results) -> Result<Built, BuildError> {
    let epoch = build.request.source_date_epoch;
    let mut instances = Vec::with_capacity(target.instances.len());
    for instance in &target.instances {
        let missing = || at(instance.root)(BuildErrorKind::Cancelled);
        let action = results.get(instance.root).ok_or_else(missing)?;
        let snapshot = action.snapshot.clone();
        let mut created = instance.base_created.clone();
        let mut history = Vec::with_capacity(instance.history.len());
        let mut made = snapshot.layers.iter().filter_map(|layer| match layer {
            crate::store::Layer::Made(made) => Some(made.created),
            crate::store::Layer::Base(_) => None,
        });
        for step in &instance.history {
            let mut entry = step.entry.clone();
            if entry.created.is_none() {
                if step.node.is_some()
                    && let Some(at) = made.next()
                {
                    created = Some(rfc3339(at));
                }
                entry.created = epoch.map(rfc3339).or_else(|| created.clone());
            }
            history.push(entry);
        }
        let document = ImageDocument {
            created: epoch.map(rfc3339).or(created),
            author: instance.author.clone(),
            architecture: instance.platform.architecture.clone(),
            variant: instance.platform.variant.clone(),
            os: instance.platform.os.clone(),
            config: instance.config.clone(),
            history,
            ..ImageDocument::default()
        };
        instances.push(BuiltInstance { platform: instance.platform.clone(), snapshot, document });
    }
    Ok(Built { instances })
}

/// A time in RFC 3339, in UTC (OCI image specification, `created`).
fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}
