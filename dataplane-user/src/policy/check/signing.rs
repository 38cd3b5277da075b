//! Signed keys: two secrets at most, which differ.

use keysteer_common::carrier::Carrier;

use crate::policy::document::{Document, RawField};
use crate::policy::signing::{Signing, SigningSecret};

use super::Checker;

/// How many secrets there can be: that of now, and the next or the last.
pub(in crate::policy) const SECRETS: usize = 2;

/// Checks what is said of signed keys.
pub(super) fn check(checker: &mut Checker<'_>, document: &Document<'_>) -> Option<Signing> {
    let of = |raw: &RawField<'_>| {
        raw.from.value == Carrier::ShimKey.name() || raw.signed.as_ref().is_some_and(|signed| signed.value)
    };
    let all = document.schemas.value.iter().flat_map(|schema| &schema.fields.value);
    let signed = all.clone().find(|raw| of(raw));
    let Some(raw) = &document.signing else {
        if let Some(field) = signed {
            let problem = "there is no secret to verify signed keys with, so all that carry one will be unauthenticated";
            checker.warn(field.from.at, "spec.signing", problem);
        }
        return None;
    };
    if signed.is_none() {
        checker.warn(
            raw.secrets.at,
            "spec.signing",
            "no field of a schema is read from a signed key: nothing will be verified",
        );
    }
    let secrets = &raw.secrets.value;
    if let Some(third) = secrets.get(SECRETS) {
        let problem =
            format!("there can be {SECRETS} at most, the one in use and the next: leave the others out");
        checker.error(third.id.at, format_args!("spec.signing.secrets[{SECRETS}]"), problem);
    }
    for (index, secret) in secrets.iter().enumerate().skip(1) {
        let before = secrets.iter().take(index);
        if let Some(first) = before.clone().find(|it| it.id.value == secret.id.value) {
            let problem = format!("the id {} is already taken in line {}", secret.id.value, first.id.at.line);
            checker.error(secret.id.at, format_args!("spec.signing.secrets[{index}].id"), problem);
        }
        if let Some(first) = before.into_iter().find(|it| it.file.value == secret.file.value) {
            let problem = format!(
                "the same file is named in line {}: two ids of one secret are no change of it",
                first.file.at.line
            );
            checker.error(secret.file.at, format_args!("spec.signing.secrets[{index}].file"), problem);
        }
    }
    // The reader has checked the ranges.
    let byte = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
    let secret = |raw: &crate::policy::document::RawSecret| SigningSecret {
        id: byte(raw.id.value),
        file: raw.file.value.clone(),
        at: raw.file.at,
    };
    Some(Signing {
        secrets: secrets.iter().map(secret).collect(),
        source: raw.source.map(|(v4, v6)| (byte(v4), byte(v6))),
        destination: raw.destination,
    })
}
