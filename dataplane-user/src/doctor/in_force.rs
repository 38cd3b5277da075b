//! The policy in force, from the records of the agent: it need not run.

use std::path::Path;

use super::report::Report;
use crate::policy::{Bundle, Policy};
use crate::state::Generations;

const ID: &str = "policy.in-force";

/// The policy that the agent of a state directory has in force, if it has one; and what was found.
pub(super) fn read(state: &Path, report: &mut Report) -> Option<Policy> {
    let place = state.display().to_string();
    if !state.exists() {
        report.ok(
            ID,
            &place,
            "no agent has worked here: the host alone is checked (--policy names a policy)",
        );
        return None;
    }
    match live(state) {
        Ok(Some((number, policy))) => {
            report.ok(ID, &place, format!("generation {number}, policy {}", policy.name));
            Some(policy)
        }
        Ok(None) => {
            report.ok(ID, &place, "no policy is in force: the host alone is checked");
            None
        }
        Err(why) => {
            report.unknown(ID, &place, format!("{why}; the host alone is checked (--policy names a policy)"));
            None
        }
    }
}

fn live(state: &Path) -> Result<Option<(u64, Policy)>, String> {
    let generations = Generations::open(state).map_err(|error| error.to_string())?;
    let Some(number) = generations.live().map(|record| record.number) else { return Ok(None) };
    let bundle: Bundle = generations.bundle(number).map_err(|error| error.to_string())?;
    let policy = bundle.parse().map_err(|error| error.to_string())?;
    Ok(Some((number, policy)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    fn state_of(directory: &Path) -> (State, bool) {
        let mut report = Report::default();
        let found = read(directory, &mut report).is_some();
        (report.checks[0].state, found)
    }

    #[test]
    fn without_records_the_host_alone_is_checked_and_damaged_ones_are_said() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(state_of(&directory.path().join("none")), (State::Ok, false));
        assert_eq!(state_of(directory.path()), (State::Ok, false));
        std::fs::create_dir(directory.path().join("generations")).unwrap();
        std::fs::write(directory.path().join("generations/records"), "no records").unwrap();
        assert_eq!(state_of(directory.path()), (State::Unknown, false));
    }
}
