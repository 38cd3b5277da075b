//! The shape of `spec.migration`.

use crate::policy::migration::Migration;
use crate::policy::reader::{Context, Cursor};
use crate::policy::yaml::Value;

use super::versions::duration;

/// `none`, or what is said of it. The outer `None`: something is wrong.
pub(super) fn migration(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<Option<Migration>> {
    if let Value::Text(text) = &at.node.value {
        return if text == "none" { Some(None) } else { at.fail(context, "expected \"none\" or a mapping") };
    }
    let fields = at.fields(&["idle", "deadline", "pins"], context)?;
    let Migration { idle, deadline, pins } = Migration::default();
    let span = |name, default, context: &mut Context<'_>| match fields.get(name) {
        Some(at) => at.parsed(context, duration).map(|span| span.value),
        None => Some(default),
    };
    let idle = span("idle", idle, context);
    let deadline = span("deadline", deadline, context);
    let (least, most) = Migration::PINS;
    let pins = match fields.get("pins") {
        Some(at) => at.number(least, most, context).map(|pins| pins.value),
        None => Some(pins),
    };
    let found = Migration { idle: idle?, deadline: deadline?, pins: pins? };
    if found.deadline < found.idle {
        let at = fields.get("deadline").or_else(|| fields.get("idle"))?;
        return at
            .fail(context, "the deadline comes before the idle time is over: no move could end by itself");
    }
    Some(Some(found))
}
