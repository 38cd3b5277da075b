//! What the packet path verifies with: what a policy says, and the secrets of its files.

use keysteer_common::shim::{self, Secret, flag};

use super::SecretKey;
use crate::policy::{Signing, SigningSecret};

/// The table of a policy. `read` gives the secret of a file that can be used; of another what `before` has of its id
/// stays. A secret keeps its place. One that the policy no longer has is first made dead, and only the next time overwritten: see
/// [`shim::Signing`].
pub fn table(
    policy: &Signing,
    before: &shim::Signing,
    mut read: impl FnMut(&SigningSecret) -> Option<SecretKey>,
    clock_offset: u64,
) -> shim::Signing {
    let wanted = |secret: &Secret| policy.secrets.iter().any(|it| u32::from(it.id) == secret.id);
    let mut secrets = before.secrets.map(|secret| match secret.live {
        0 => Secret::default(),
        _ if wanted(&secret) => secret,
        _ => Secret { live: 0, ..secret },
    });
    for named in &policy.secrets {
        let Some(key) = read(named) else { continue };
        let id = u32::from(named.id);
        let known = secrets.iter().position(|it| it.live != 0 && it.id == id);
        let place = known.or_else(|| secrets.iter().position(|it| it.live == 0));
        if let Some(place) = place.and_then(|place| secrets.get_mut(place)) {
            *place = Secret { key: key.words(), id, live: 1 };
        }
    }
    let (source_bits4, source_bits6) = policy.source.unwrap_or((32, 128));
    let require = if policy.source.is_some() { flag::SOURCE } else { 0 }
        | if policy.destination { flag::DESTINATION } else { 0 };
    shim::Signing { secrets, clock_offset, require, source_bits4, source_bits6, ..shim::Signing::default() }
}

/// What to write, one after the other, for packets to see `after` where they saw `before`: no secret is live while it is
/// written.
pub fn steps(before: &shim::Signing, after: &shim::Signing) -> Vec<shim::Signing> {
    let changed: Vec<bool> = before.secrets.iter().zip(&after.secrets).map(|(old, new)| old != new).collect();
    if !changed.contains(&true) {
        return vec![*after];
    }
    let dead = |mut table: shim::Signing| {
        for (secret, _) in table.secrets.iter_mut().zip(&changed).filter(|(_, changed)| **changed) {
            secret.live = 0;
        }
        table
    };
    vec![dead(*before), dead(*after), *after]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Place;

    fn policy(ids: &[u8]) -> Signing {
        let secret = |id: &u8| SigningSecret { id: *id, file: format!("/{id}").into(), at: Place::default() };
        Signing { secrets: ids.iter().map(secret).collect(), source: None, destination: false }
    }

    fn key(digit: u8) -> SecretKey {
        SecretKey::parse(&[b'0' + digit; 32]).unwrap()
    }

    fn of(table: &shim::Signing) -> Vec<(u32, [u64; 2])> {
        table.secrets.iter().filter(|it| it.live == 1).map(|it| (it.id, it.key)).collect()
    }

    #[test]
    fn a_secret_is_changed_in_place_and_kept_where_its_file_cannot_be_used() {
        let first = table(&policy(&[1]), &shim::Signing::default(), |_| Some(key(1)), 7);
        assert_eq!((of(&first), first.clock_offset), (vec![(1, key(1).words())], 7));
        let both = table(&policy(&[2, 1]), &first, |it| Some(key(it.id)), 7);
        assert_eq!(of(&both), [(1, key(1).words()), (2, key(2).words())]);
        let changed = table(&policy(&[1, 2]), &both, |it| (it.id == 1).then(|| key(9)), 7);
        assert_eq!(of(&changed), [(1, key(9).words()), (2, key(2).words())]);
        let broken = table(&policy(&[1, 3]), &changed, |_| None, 7);
        assert_eq!(of(&broken), [(1, key(9).words())]);
    }

    #[test]
    fn a_secret_that_goes_is_dead_before_it_is_overwritten() {
        let both = table(&policy(&[1, 2]), &shim::Signing::default(), |it| Some(key(it.id)), 7);
        let one = table(&policy(&[2]), &both, |it| Some(key(it.id)), 7);
        assert_eq!(of(&one), [(2, key(2).words())]);
        assert_eq!((one.secrets[0].live, one.secrets[0].key), (0, key(1).words()));
        let later = table(&policy(&[2]), &one, |it| Some(key(it.id)), 7);
        assert_eq!((of(&later), later.secrets[0]), (of(&one), Secret::default()));
        // A new one can take its place at once.
        let next = table(&policy(&[2, 3]), &both, |it| Some(key(it.id)), 7);
        assert_eq!(of(&next), [(3, key(3).words()), (2, key(2).words())]);
    }

    #[test]
    fn what_must_be_bound_is_asked_for() {
        let with = |source, destination| {
            let policy = Signing { source, destination, ..policy(&[1]) };
            let table = table(&policy, &shim::Signing::default(), |_| None, 0);
            (table.require, table.source_bits4, table.source_bits6)
        };
        assert_eq!(with(None, false), (0, 32, 128));
        assert_eq!(with(Some((24, 48)), false), (flag::SOURCE, 24, 48));
        assert_eq!(with(Some((24, 48)), true), (flag::ALL, 24, 48));
    }

    #[test]
    fn no_secret_is_live_while_it_is_written() {
        let old = table(&policy(&[1, 2]), &shim::Signing::default(), |it| Some(key(it.id)), 7);
        let new = table(&policy(&[1, 3]), &old, |it| Some(key(it.id)), 8);
        let between = |before, after| {
            let mut last = before;
            let steps = steps(&before, &after);
            for step in &steps {
                for (from, to) in last.secrets.iter().zip(&step.secrets) {
                    let written = (from.key, from.id) != (to.key, to.id);
                    assert!(!written || from.live == 0 && to.live == 0, "{from:?} to {to:?}");
                }
                last = *step;
            }
            assert_eq!(last, after);
            steps
        };
        let all = between(old, new);
        assert!(all.iter().all(|step| step.secrets[0] == old.secrets[0]), "the other one stays live");
        assert_eq!(between(new, shim::Signing { clock_offset: 9, ..new }).len(), 1);
        assert_eq!(between(shim::Signing::default(), old).len(), 3);
    }
}
