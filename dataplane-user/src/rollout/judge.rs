//! What is thought of those who moved.

use crate::policy::{Rollout, Share};

/// What was counted of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Flows that opened on the new shards of the step's keys, and have had time to be answered.
    pub flows: u64,
    /// Of these, the ones that were not.
    pub failed: u64,
    /// Those whose opening was sent again.
    pub slow: u64,
    /// Reset connections there.
    pub resets: u64,
    /// Packets of all keys that have moved, since the step began.
    pub packets: u64,
    /// Of these, the ones that were dropped.
    pub dropped: u64,
    /// Shards that are down and were not when the change began.
    pub down: u32,
}

/// What turns the change back, in words; `None` where nothing does.
pub fn judge(rollout: &Rollout, counted: &Counted) -> Option<String> {
    let of = |name: &str, share: Option<Share>, part: u64, whole: u64, what: &str| {
        let share = share?;
        let enough = whole >= rollout.least || part >= rollout.least;
        (enough && share.is_exceeded_by(part, whole)).then(|| {
            let is = Share::of(part as f64, whole as f64);
            format!("{name}: {part} of {whole} {what}, {is} of them, are more than {share}")
        })
    };
    let [drops, resets, failed, slow] = rollout.shares();
    let Counted { flows, packets, dropped, .. } = *counted;
    of(drops.0, drops.1, dropped, packets, "packets")
        .or_else(|| of(resets.0, resets.1, counted.resets, flows, "flows"))
        .or_else(|| of(failed.0, failed.1, counted.failed, flows, "flows"))
        .or_else(|| of(slow.0, slow.1, counted.slow, flows, "flows"))
        .or_else(|| {
            let most = rollout.abort_if.shards_down?;
            (counted.down > most).then(|| format!("shardsDown: {} are more than {most}", counted.down))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::AbortIf;

    #[test]
    fn each_condition_turns_back_beyond_its_share_and_from_enough_on() {
        let share = |percent: f64| Some(Share::of(percent, 100.0));
        let abort_if = AbortIf {
            drops: share(1.0),
            resets: share(2.0),
            failed_handshakes: share(5.0),
            slow_handshakes: share(10.0),
            shards_down: Some(1),
        };
        let rollout = Rollout { steps: Vec::new(), abort_if, least: 100 };
        let at_most =
            Counted { flows: 100, failed: 5, slow: 10, resets: 2, packets: 1_000, dropped: 10, down: 1 };
        assert_eq!(judge(&rollout, &at_most), None);
        for (counted, why) in [
            (Counted { dropped: 11, ..at_most }, "drops: 11 of 1000 packets, 1.1% of them, are more than 1%"),
            (Counted { resets: 3, ..at_most }, "resets: 3 of 100 flows, 3% of them, are more than 2%"),
            (
                Counted { failed: 6, ..at_most },
                "failedHandshakes: 6 of 100 flows, 6% of them, are more than 5%",
            ),
            (
                Counted { slow: 11, ..at_most },
                "slowHandshakes: 11 of 100 flows, 11% of them, are more than 10%",
            ),
            (Counted { down: 2, ..at_most }, "shardsDown: 2 are more than 1"),
        ] {
            assert_eq!(judge(&rollout, &counted).as_deref(), Some(why));
        }
        // Of fewer nothing is said; where nothing is declared, never.
        assert_eq!(
            judge(&rollout, &Counted { flows: 99, failed: 99, resets: 99, ..Counted::default() }),
            None
        );
        let none = Rollout { abort_if: AbortIf::default(), ..rollout };
        assert_eq!(judge(&none, &Counted { flows: 100, failed: 100, down: 9, ..at_most }), None);
    }
}
