//! The shape of `spec.trust`.

use crate::policy::diagnostic::Place;
use crate::policy::reader::{At, Context, Cursor};
use crate::policy::trust::TrustMode;

use super::filled;

/// `spec.trust`.
#[derive(Debug)]
pub(in crate::policy) struct RawTrust<'n> {
    pub(in crate::policy) default: Option<At<TrustMode>>,
    pub(in crate::policy) interfaces: Vec<(At<&'n str>, RawTrustRule<'n>)>,
}

/// What is said of one interface.
#[derive(Debug)]
pub(in crate::policy) struct RawTrustRule<'n> {
    pub(in crate::policy) at: Place,
    pub(in crate::policy) mode: Option<At<TrustMode>>,
    pub(in crate::policy) schemas: Option<Vec<At<u32>>>,
    pub(in crate::policy) carriers: Option<Vec<At<&'n str>>>,
}

pub(super) fn trust<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawTrust<'n>> {
    let fields = at.fields(&["default", "interfaces"], context)?;
    let (default, interfaces) = (fields.get("default"), fields.get("interfaces"));
    if default.is_none() && interfaces.is_none() {
        return at.fail(context, "says nothing: give default, interfaces or both");
    }
    let default = default.map(|at| mode(&at, context));
    let mut rules = Vec::new();
    if let Some(at) = &interfaces {
        for (name, cursor) in &at.entries(context)? {
            let name = At { value: name.value, at: name.at };
            rules.extend(rule(cursor, context).map(|rule| (name, rule)));
        }
    }
    Some(RawTrust { default: default.flatten(), interfaces: rules })
}

fn rule<'n>(at: &Cursor<'n, '_>, context: &mut Context<'_>) -> Option<RawTrustRule<'n>> {
    let fields = at.fields(&["mode", "schemas", "carriers"], context)?;
    let (given, schemas, carriers) = (fields.get("mode"), fields.get("schemas"), fields.get("carriers"));
    if [&given, &schemas, &carriers].iter().all(|field| field.is_none()) {
        return at.fail(context, "says nothing: give mode, schemas or carriers");
    }
    let mode = given.and_then(|at| mode(&at, context));
    let schemas =
        schemas.and_then(|at| filled(&at, context, |item, context| item.number(1, u8::MAX.into(), context)));
    let carriers = carriers.and_then(|at| filled(&at, context, |item, context| item.text(context)));
    Some(RawTrustRule { at: at.node.at, mode, schemas, carriers })
}

fn mode(at: &Cursor<'_, '_>, context: &mut Context<'_>) -> Option<At<TrustMode>> {
    Some(At { value: at.choice("mode", &TrustMode::ALL, context)?, at: at.node.at })
}
