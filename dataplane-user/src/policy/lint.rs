//! Names and labels end up in metrics, events and bills, where nothing personal and nothing secret
//! belongs (requirement `prop.secure`). What looks like it is warned of; it is a guess, so it is no error.

use super::diagnostic::Place;
use super::document::RawTable;

/// Labels that look personal or secret, each once in its table, in tables whose labels are `shown`: place, field, problem.
pub(super) fn labels(tables: &[RawTable<'_>], shown: impl Fn(&str) -> bool) -> Vec<(Place, String, String)> {
    let mut found = Vec::new();
    for table in tables.iter().filter(|table| shown(&table.name.value)) {
        let mut seen = std::collections::HashSet::new();
        for (net, label) in &table.prefixes {
            if let Some(what) = looks(label.value).filter(|_| seen.insert(label.value)) {
                let field = format!("spec.prefixTables.{}.{}", table.name.value, net.value);
                let problem = format!(
                    "looks like {what}: labels are shown in logs and answers; use a pseudonym, or hide them: `display` of the fields that use the table"
                );
                found.push((label.at, field, problem));
            }
        }
    }
    found
}

/// What is wrong with `text` as a name, an owner or the like, when it looks personal or secret.
pub(super) fn personal(text: &str) -> Option<String> {
    let what = looks(text)?;
    Some(format!("looks like {what}: it is shown in metrics, events and bills; use a pseudonym"))
}

/// What `text` looks like, when that should not be shown.
fn looks(text: &str) -> Option<&'static str> {
    if is_mail(text) {
        Some("a mail address")
    } else if is_phone(text) {
        Some("a phone number")
    } else if is_token(text) {
        Some("a token or secret")
    } else {
        None
    }
}

fn is_mail(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.split_once('.').is_some_and(|(host, rest)| !host.is_empty() && !rest.is_empty())
    })
}

/// An international number, or a national one in groups. A bare row of digits is more often an id.
fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let only = |extra: &[u8]| text.bytes().all(|byte| byte.is_ascii_digit() || extra.contains(&byte));
    if let Some(rest) = text.strip_prefix('+') {
        return (7..=15).contains(&digits) && !rest.contains('+') && only(b"+ -()/.");
    }
    let groups = text.split([' ', '-', '(', ')', '/']).filter(|group| !group.is_empty()).count();
    text.starts_with(['0', '(']) && (9..=15).contains(&digits) && groups > 1 && only(b" -()/")
}

/// Prefixes of well-known credentials.
const CREDENTIALS: [&str; 10] =
    ["sk_live_", "sk_test_", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "-----BEGIN"];

/// A signed token (RFC 7519), a known kind of credential, or a long random string.
fn is_token(text: &str) -> bool {
    if text.starts_with("eyJ") && text.matches('.').count() == 2 {
        return true;
    }
    if CREDENTIALS.iter().any(|prefix| text.len() > prefix.len() + 8 && text.starts_with(prefix)) {
        return true;
    }
    let has = |test: fn(&u8) -> bool| text.bytes().any(|byte| test(&byte));
    text.len() >= 32
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_".contains(&byte))
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_and_secret_text_is_recognised() {
        for text in [
            "alice@example.com",
            "+49 30 1234567",
            "030-1234-5678",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "ghp_0123456789abcdef",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert!(personal(text).is_some(), "{text}");
        }
    }

    #[test]
    fn ordinary_names_are_not() {
        for text in [
            "acme",
            "acme-video",
            "tenant@blue",
            "customer-000123456789",
            "000123456789",
            "10.1.0.0/16",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "a-rather-long-name-of-a-tenant-in-region-eu-west-1",
            "2024-01-01",
        ] {
            assert_eq!(personal(text), None, "{text}");
        }
    }
}
